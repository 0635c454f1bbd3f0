"""The engine: decorate > pipeline > drivers > streams, on waiting, bus and the current host."""
