"""What the rooms share: records, ports, manifests and the one rendering of prompts. Imports only `errors`."""
