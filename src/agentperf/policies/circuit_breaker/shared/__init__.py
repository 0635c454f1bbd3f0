"""Breakers that several processes share: decided in a store, followed in each process."""
