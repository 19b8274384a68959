"""Turns the library into sealed feature versions."""
