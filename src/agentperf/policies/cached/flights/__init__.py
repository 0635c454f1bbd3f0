"""One computation for all who ask meanwhile, and one stream."""
