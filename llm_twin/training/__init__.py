"""Fine-tunes a LoRA adapter on a feature version."""
