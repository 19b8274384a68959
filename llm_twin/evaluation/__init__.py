"""Measures what a version is worth."""
