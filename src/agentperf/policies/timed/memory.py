"""How much memory Python has allocated, as far as it is being traced."""

from __future__ import annotations


def allocated() -> int:
    """Bytes that Python objects hold now; tracing starts with the first call.

    The figure is of the whole process: what other calls allocate at the same time counts too.
    """
    import tracemalloc

    if not tracemalloc.is_tracing():
        tracemalloc.start(1)
    return tracemalloc.get_traced_memory()[0]
