"""Retrieves context and writes in the author's voice."""
