"""How the calls of a region use their caches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Literal, get_args

from agentperf._engine.current import current_bindings
from agentperf.errors import ConfigurationError

CacheMode = Literal["bypass", "refresh", "only_if_cached"]

mode: ContextVar[CacheMode | None] = ContextVar("agentperf.cache_mode", default=None)


@contextlib.contextmanager
def cache_mode(how: CacheMode) -> Iterator[None]:
    """Have the cached calls of a region use their caches in another way.

    Tasks started inside inherit it; so do threads that are given a copy of the context. An inner
    region replaces the outer one's mode.

    Args:
        how: `"bypass"` neither looks into the cache nor stores; `"refresh"` computes and replaces
            what is stored; `"only_if_cached"` computes nothing: it gives what is stored, stale
            answers as far as the cache gives them, or raises `CacheMissError`.

    Example:
        with agentperf.cache_mode("refresh"):
            profile("anna")

    Raises:
        ConfigurationError: `how` is none of these.
    """
    if how not in get_args(CacheMode):
        shown = ", ".join(f'"{known}"' for known in get_args(CacheMode))
        raise ConfigurationError(f"cache_mode({how!r}): one of {shown}")
    current_bindings().mind_modes()
    token = mode.set(how)
    try:
        yield
    finally:
        mode.reset(token)
