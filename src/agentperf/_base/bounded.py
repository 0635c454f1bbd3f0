"""A table that makes what is asked for and forgets what nobody asked for longest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, TypeVar

V = TypeVar("V")


class BoundedRegistry(Generic[V]):
    """One value for each key, made on first use; at most `size` of them.

    Args:
        make: Makes a value.
        size: How many to keep.
        busy: Tells whether a value is in use and must not be forgotten; there are more than `size`
            while so many are.
    """

    def __init__(
        self,
        make: Callable[[], V],
        size: int = 1024,
        busy: Callable[[V], object] = lambda _: False,
    ) -> None:
        self._make = make
        self._size = size
        self._busy = busy
        self._values: OrderedDict[Hashable, V] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, key: Hashable) -> V:
        with self._lock:
            value = self._values.get(key)
            if value is None:
                value = self._values[key] = self._make()
                self._forget()
            else:
                self._values.move_to_end(key)
            return value

    def _forget(self) -> None:
        for _ in range(len(self._values) - self._size):
            key, oldest = next(iter(self._values.items()))
            if self._busy(oldest):
                self._values.move_to_end(key)
            else:
                del self._values[key]

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[V]:
        with self._lock:
            return iter(list(self._values.values()))

    def items(self) -> list[tuple[Hashable, V]]:
        """Return all there are now, those used last at the end."""
        with self._lock:
            return list(self._values.items())
