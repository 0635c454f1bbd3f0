"""How a call asks what may have to be awaited, or may block, in its own colour."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol

from agentperf._engine.waiting import in_trio
from agentperf.abc.waiting import Waiting

Work = Callable[[Any], Any]
"""What is asked of something of whichever colour; from what is asynchronous it can be awaited."""

Ask = Callable[[Work], Awaitable[Any]]


class Sides(Protocol):
    """Something that can be reached in one colour or in both."""

    @property
    def sync(self) -> Any:
        """For calls that block; None where there is nothing."""
        ...

    @property
    def asynchronous(self) -> Any:
        """For calls that are awaited; None where there is nothing."""
        ...


def way_to(sides: Sides, waiting: Waiting | None) -> Ask:
    """Return what asks it, without holding up the loop that the call runs on.

    Args:
        sides: What is asked.
        waiting: How the calls wait; None for calls that block.
    """
    sync, asynchronous = sides.sync, sides.asynchronous

    async def in_place(work: Work) -> Any:
        return work(sync)

    async def awaited(work: Work) -> Any:
        return await work(asynchronous)

    async def in_thread(work: Work) -> Any:
        return await waiting.in_thread(partial(work, sync)) if waiting else work(sync)

    async def awaited_unless_trio(work: Work) -> Any:
        return await (blocking if in_trio() else awaited)(work)

    if waiting is None:
        return in_place
    blocking = in_place if sync is None or not sync.blocking else in_thread
    if asynchronous is None:
        return blocking
    return awaited_unless_trio if sync is not None and asynchronous.asyncio_only else awaited
