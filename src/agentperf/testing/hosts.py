"""Hosts for tests."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from agentperf._base.clock import Clock
from agentperf._engine.current import use
from agentperf._host import Host
from agentperf.config import Settings


@contextlib.contextmanager
def fresh_host(clock: Clock | None = None, *, enabled: bool = True) -> Iterator[Host]:
    """Make a new host current for a region: empty caches, no counts, no subscribers.

    Args:
        clock: Where time comes from, such as a `FakeClock`; real time by default.
        enabled: Whether decorated functions do anything; the environment is not asked.

    Example:
        with agentperf.testing.fresh_host(FakeClock()) as host:
            answer("hello")
            assert host.stats()["myapp.answer"].calls == 1
    """
    with use(Host(clock=clock, settings=Settings(enabled=enabled))) as host:
        yield host
