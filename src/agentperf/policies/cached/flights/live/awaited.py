"""Asynchronous streams: one task moves them, as far as some reader asks."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agentperf._base.clock import Clock
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.streams import AsyncLiveStream
from agentperf._engine.waiting import in_trio
from agentperf.abc.waiting import Parker
from agentperf.errors import SharedStreamError
from agentperf.policies.cached.flights.broadcast import Broadcast, Seat
from agentperf.policies.cached.flights.flight import Flight, Flights, computing
from agentperf.policies.cached.flights.live.reading import Reader
from agentperf.policies.cached.flights.live.under_way import NOT_YOURS, Alone, Live


class AsyncLive(Live):
    """An asynchronous stream: one task moves it, when a reader waits for the next item.

    Args:
        flies: Whether the task that opened it goes on to move it; otherwise the first reader
            starts one.
    """

    def __init__(
        self,
        flight: Flight,
        flights: Flights,
        stream: Any,
        shared: Broadcast,
        clock: Clock,
        *,
        flies: bool,
    ) -> None:
        self._flies = flies
        self._moves: list[Callable[[], Awaitable[Any]]] = []
        self._idle: Parker | None = None
        self._moving = False
        self._closed = False
        self._closers: list[Parker] = []
        self._waiting = LoopWaiting(clock)
        self._problem: Exception | None = None
        super().__init__(flight, flights, stream, shared, clock)

    def admits(self) -> bool:
        """Always: to wait for an item holds up no event loop."""
        return True

    def stop(self) -> None:
        """Have the task close the stream; one that was never begun ends when it is collected."""
        if (idle := self._idle) is not None:
            idle.unpark()
        elif (interrupt := self.flight.interrupt) is not None:
            interrupt(lambda: self._moving)

    async def close(self) -> None:
        """Have the stream closed, and wait until it is.

        Raises:
            Exception: What its closing raised.
        """
        if not self._flies:
            await self.stream.aclose()
            return
        self.stop()
        home = self.flight.home
        if computing.get() is self.flight or (home is not None and home.deserted):
            return
        parker = self._waiting.parker()
        self._closers.append(parker)
        if not self._closed:
            await parker.park()
        if self._problem is not None:
            raise self._problem

    def send(self, seat: Seat, move: Callable[[], Awaitable[Any]]) -> None:
        """Have the stream moved on in this way the next time, for its only reader.

        Raises:
            SharedStreamError: It isn't the only one.
        """
        if not self.shared.claim(seat):
            raise SharedStreamError(NOT_YOURS)
        self._moves.append(move)

    async def wait(self, seat: Seat) -> None:
        """Ask for the next item, and wait for it or for the end."""
        self._mind_cycles()
        if not self._flies:
            await self._set_out()
        waiting, parker = self.shared.waiting, self._waiting.parker()
        waiting.append(parker)
        try:
            # Looked at after standing there: an item that came before wakes nobody.
            if seat.at >= self.shared.count and not self.shared.over:
                if (idle := self._idle) is not None:
                    idle.unpark()
                await parker.park()
                return
        except BaseException:
            self._forget(parker)
            raise
        self._forget(parker)

    def _forget(self, parker: Parker) -> None:
        """Ask for nothing any more."""
        with contextlib.suppress(ValueError):
            self.shared.waiting.remove(parker)

    async def _set_out(self) -> None:
        with self._flights.lock:
            if self._flies:
                return
            self._flies = True
        self.flight.home = self._waiting.parker()
        self.flight.interrupt = await self._waiting.detached(self.fly, self._landed)

    async def fly(self) -> None:
        """Move the stream as far as readers ask, then close it; raises nothing."""
        if not self._flies:
            return
        computing.set(self.flight)  # in a task of its own
        give_way = self._waiting.giving_way()
        completed = False
        try:
            while not self.shared.over and (self.shared.waiting or await self._asked()):
                completed = await self._pull()
                # Who got an item mostly asks for the next at once: cheaper than to be woken for it.
                await give_way()
        except BaseException as error:  # noqa: BLE001 - its readers are told
            self.shared.finish(error=error)
        try:
            if not completed:
                await self._shut()
        except Exception as error:  # noqa: BLE001 - raised by who closes
            self._problem = error
        finally:
            self._landed()

    async def _asked(self) -> bool:
        """Wait until somebody waits for an item; False when nobody will any more."""
        shared = self.shared
        while not shared.waiting:
            if shared.deserted:
                return False
            self._idle = parker = self._waiting.parker()
            try:
                if not (shared.waiting or shared.deserted):
                    await parker.park()
            finally:
                self._idle = None
        return not shared.deserted

    async def _pull(self) -> bool:
        """Get the next item; True when there are no more."""
        move = self._moves.pop() if self._moves else self.stream.__anext__
        self._moving = True
        try:
            item = await move()
        except StopAsyncIteration:
            self.shared.finish()
            return True
        except BaseException as error:  # noqa: BLE001 - its readers raise it
            self.shared.finish(error=error)
        else:
            self.shared.add(item)
        finally:
            self._moving = False
            self.shared.wake()
        return False

    async def _shut(self) -> None:
        if not in_trio():
            await self.stream.aclose()
            return
        import trio

        with trio.CancelScope(shield=True):
            await self.stream.aclose()

    def _landed(self) -> None:
        """Tell everybody that nothing moves any more."""
        self.shared.finish(error=GeneratorExit())
        self._closed = True
        self._flights.end(self.flight)
        self.shared.wake()
        for parker in self._closers:
            parker.unpark()

    async def _take_held(self) -> None:
        await self._pull()

    def _stream_for(self, seat: Seat, alone: Alone) -> AsyncLiveStream:
        reader = AsyncReader(self, seat, alone)
        stream = AsyncLiveStream(reader, self._now)
        stream.watch(end=reader.ended)
        return stream


class AsyncReader(Reader):
    """A reader of an asynchronous stream."""

    __slots__ = ("_mine",)

    def __init__(self, live: Any, seat: Seat, alone: Alone) -> None:
        super().__init__(live, seat, alone)
        self._mine: Any = None  # a stream for this reader alone

    async def __anext__(self) -> Any:
        if self._mine is not None:
            return await self._mine.__anext__()
        live, seat = self._live, self._seat
        shared = live.shared
        while not seat.gone:
            if seat.at < shared.count:
                try:
                    return shared.take(seat)
                except SharedStreamError:
                    if seat.at > 0:
                        raise
                return await self._go_alone()
            if not shared.over:
                await live.wait(seat)
            elif seat.at >= shared.count:  # looked at again: both may have changed meanwhile
                shared.end()
                break
        raise StopAsyncIteration

    async def _go_alone(self) -> Any:
        self._live.go(self._seat)
        self._mine = await self._alone()
        return await self._mine.__anext__()

    async def asend(self, value: Any) -> Any:
        """Send into the stream, for its only reader."""
        if self._mine is not None:
            return await self._mine.asend(value)
        self._live.send(self._seat, partial(self._live.stream.asend, value))
        return await self.__anext__()

    async def athrow(self, error: BaseException) -> Any:
        """Throw into the stream, for its only reader; otherwise the reader leaves with it."""
        if self._mine is not None:
            return await self._mine.athrow(error)
        try:
            self._live.send(self._seat, partial(self._live.stream.athrow, error))
        except SharedStreamError:
            raise error from None
        return await self.__anext__()

    async def aclose(self) -> None:
        """Leave; the last one has the stream closed, and waits until it is."""
        if self._mine is not None:
            await self._mine.aclose()
        elif self._live.leave(self._seat):
            await self._live.close()

    close = aclose
