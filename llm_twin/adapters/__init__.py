"""The concrete parts behind the ports: Qdrant Edge, sentence-transformers, the base model, llama.cpp."""
