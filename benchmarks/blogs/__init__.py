"""What benchmarks/engines.py is made of: texts with a known truth, blogs built from them, and scores."""
