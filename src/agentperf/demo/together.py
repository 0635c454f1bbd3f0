"""Steps that don't need each other, at the same time."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar, overload

import anyio

A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")


@overload
async def together(
    one: Awaitable[A], two: Awaitable[B], three: Awaitable[C], four: Awaitable[D], /
) -> tuple[A, B, C, D]: ...
@overload
async def together(*steps: Awaitable[A]) -> tuple[A, ...]: ...
async def together(*steps: Awaitable[Any]) -> tuple[Any, ...]:
    """Await all steps at the same time and return their results in the order given.

    When one fails the others are cancelled.

    Raises:
        ExceptionGroup: What the steps raised.
    """
    results: list[Any] = [None] * len(steps)

    async def run(place: int, step: Awaitable[Any]) -> None:
        results[place] = await step

    async with anyio.create_task_group() as group:
        for place, step in enumerate(steps):
            group.start_soon(run, place, step)
    return tuple(results)
