"""The policies, one folder each: what it says (options), what it decides (core), its decorator."""
