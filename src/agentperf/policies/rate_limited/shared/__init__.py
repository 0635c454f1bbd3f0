"""Limits that several processes share: decided in a store, waited for in each process."""
