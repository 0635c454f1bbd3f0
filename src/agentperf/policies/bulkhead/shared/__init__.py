"""Places that several processes share: granted in a store, waited for in each process."""
