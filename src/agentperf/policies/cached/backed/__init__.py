"""Answers kept as bytes, in a backend."""
