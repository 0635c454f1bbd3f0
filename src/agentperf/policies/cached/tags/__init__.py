"""Names under which answers are invalidated together."""
