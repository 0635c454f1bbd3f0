"""Answers kept in the memory of the process."""
