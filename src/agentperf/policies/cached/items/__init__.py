"""A cache of the items of a batch: what is missing is computed, in one call."""
