"""Things in the order of their ranks, any of which can be taken out without a search."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

_SLACK = 16
"""So many that were taken out may stay behind in any case."""


class Ranked(Generic[T]):
    """Things, the lowest rank first; those of one rank in the order in which they came.

    A heap in which those that were taken out stay until they come up, or until they are most of it:
    to add costs the logarithm of how many there are, to remove a constant, both on the average. Who
    shares one between threads locks.
    """

    __slots__ = ("_came", "_heap", "_things")

    def __init__(self) -> None:
        self._came = 0
        self._heap: list[tuple[float, int]] = []
        self._things: dict[int, T] = {}

    def __len__(self) -> int:
        return len(self._things)

    def __iter__(self) -> Iterator[T]:
        """Go through all of them, in their order."""
        things = self._things
        return iter([things[number] for _, number in sorted(self._heap) if number in things])

    def add(self, rank: float, thing: T) -> int:
        """Put a thing in its place; return the number by which it is removed."""
        number = self._came = self._came + 1
        self._things[number] = thing
        heapq.heappush(self._heap, (rank, number))
        return number

    def first(self) -> tuple[float, int, T] | None:
        """Return rank, number and thing of the first; None where there is none."""
        heap, things = self._heap, self._things
        while heap:
            rank, number = heap[0]
            if number in things:
                return rank, number, things[number]
            heapq.heappop(heap)
        return None

    def remove(self, number: int) -> bool:
        """Take a thing out; tell whether it was there."""
        things = self._things
        if number not in things:
            return False
        del things[number]
        if len(self._heap) > 2 * len(things) + _SLACK:
            self._heap = [entry for entry in self._heap if entry[1] in things]
            heapq.heapify(self._heap)
        return True
