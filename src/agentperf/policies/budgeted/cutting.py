"""Ends a stream at a deadline: before the item that would come too late."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from agentperf._engine.overtime import Overtime
from agentperf._engine.streams import AnyLiveStream, AsyncLiveStream
from agentperf.errors import CallTimeout
from agentperf.policies.budgeted.core import Ledger


def cut_stream(stream: AnyLiveStream, ledger: Ledger, overtime: Overtime) -> AnyLiveStream:
    """Have a stream end at the deadline of a budget."""
    # The stream must not be kept alive by what it reads through.
    whole = weakref.ref(stream)
    if isinstance(stream, AsyncLiveStream):
        stream.through(lambda iterator: _AsyncCut(iterator, ledger, overtime, whole))
    else:
        stream.through(lambda iterator: _Cut(iterator, ledger, overtime, whole))
    return stream


class _Cut:
    """Gives the items of an iterator, as long as there is time."""

    def __init__(
        self, iterator: Any, ledger: Ledger, overtime: Overtime, whole: Callable[[], Any]
    ) -> None:
        self._iterator = iterator
        self._ledger = ledger
        self._overtime = overtime
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)

    def __next__(self) -> Any:
        self._check()
        return next(self._iterator)

    def send(self, value: Any) -> Any:
        """Send into the generator, as its own `send` does."""
        self._check()
        return self._iterator.send(value)

    def _check(self) -> None:
        if not self._ledger.left():
            # Closed first: that the time is up is no failure of whoever produces the items.
            self._whole().close()
            raise self._overtime.told(self._ledger.cut_off())


class _AsyncCut:
    """Gives the items of an asynchronous iterator, and stops waiting for one when time is up."""

    def __init__(
        self, iterator: Any, ledger: Ledger, overtime: Overtime, whole: Callable[[], Any]
    ) -> None:
        self._iterator = iterator
        self._ledger = ledger
        self._overtime = overtime
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._iterator, name)

    async def __anext__(self) -> Any:
        return await self._in_time(self._iterator.__anext__)

    async def asend(self, value: Any) -> Any:
        """Send into the generator, as its own `asend` does."""
        return await self._in_time(lambda: self._iterator.asend(value))

    async def _in_time(self, move: Callable[[], Any]) -> Any:
        if not self._ledger.left():
            await self._whole().aclose()
            raise self._overtime.told(self._ledger.cut_off())
        late: list[CallTimeout] = []

        def cut_off() -> CallTimeout:
            late.append(self._ledger.cut_off())
            return late[0]

        try:
            return await self._overtime.bounded(self._ledger.left(), move, cut_off)
        except CallTimeout as error:
            if error in late:
                await self._whole().aclose()
            raise
