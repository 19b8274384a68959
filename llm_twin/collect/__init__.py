"""Collects an author's posts into the library."""
