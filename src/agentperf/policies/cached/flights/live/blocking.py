"""Synchronous streams: whoever needs the next item gets it for all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

from agentperf._base.clock import Clock
from agentperf._engine.streams import LiveStream
from agentperf._engine.waiting import ThreadWaiting, in_one_go, on_event_loop
from agentperf.errors import SharedStreamError
from agentperf.policies.cached.flights.broadcast import Broadcast, Seat
from agentperf.policies.cached.flights.flight import Flight, Flights, computing
from agentperf.policies.cached.flights.live.reading import Reader
from agentperf.policies.cached.flights.live.under_way import NOT_YOURS, Alone, Live


class SyncLive(Live):
    """A synchronous stream: whoever needs the next item gets it for all."""

    def __init__(
        self, flight: Flight, flights: Flights, stream: Any, shared: Broadcast, clock: Clock
    ) -> None:
        self._turn = threading.Lock()  # only ever tried: nobody waits for it
        self._thread = threading.get_ident()
        self._on_loop = on_event_loop()
        self._waiting = ThreadWaiting(clock)
        super().__init__(flight, flights, stream, shared, clock)

    def admits(self) -> bool:
        """Whether who asks now can read along without waiting on an event loop's thread.

        On such a thread a stream is read by that thread alone, so that nobody waits for anybody.
        """
        if self._on_loop:
            return threading.get_ident() == self._thread
        return not on_event_loop()

    def stop(self) -> None:
        """Close the stream."""
        self.stream.close()

    async def fly(self) -> None:
        """Leave it to the readers."""

    def read(self, seat: Seat, alone: Alone) -> Generator[Any, Any, Any]:
        """Give one reader the items, and what the stream returned."""
        shared, advance = self.shared, self.stream.__next__
        move: Callable[[], Any] = advance
        while self._comes(seat, move):
            try:
                item = shared.take(seat)
            except SharedStreamError:
                if seat.at > 0:
                    raise
                self.go(seat)
                return (yield from in_one_go(alone()))
            try:
                sent = yield item
            except GeneratorExit:
                raise
            except BaseException as error:  # thrown in
                if not shared.claim(seat):
                    raise
                move = partial(self.stream.throw, error)
            else:
                move = advance if sent is None else self._sending(seat, sent)
        return None if seat.gone else shared.end()

    def _sending(self, seat: Seat, value: Any) -> Callable[[], Any]:
        if not self.shared.claim(seat):
            raise SharedStreamError(NOT_YOURS)
        return partial(self.stream.send, value)

    def _comes(self, seat: Seat, move: Callable[[], Any]) -> bool:
        """Get the next item, by this `move` or from another thread; False where there is none."""
        shared, turn = self.shared, self._turn
        while not seat.gone:
            if seat.at < shared.count:
                return True
            if shared.over:
                if seat.at >= shared.count:  # looked at again: both may have changed meanwhile
                    return False
            elif turn.acquire(blocking=False):
                try:
                    if seat.at >= shared.count and not shared.over:
                        self._pull(move)
                finally:
                    turn.release()
                    if shared.waiting:
                        shared.wake()
            else:
                self._wait(seat)
        return False

    def _pull(self, move: Callable[[], Any]) -> None:
        token = computing.set(self.flight)
        try:
            item = move()
        except StopIteration as stop:
            self.shared.finish(returned=stop.value)
        except BaseException as error:
            self.shared.finish(error=error)
            if not isinstance(error, Exception):
                raise  # an interruption is that reader's alone
        else:
            self.shared.add(item)
        finally:
            computing.reset(token)

    def _wait(self, seat: Seat) -> None:
        self._mind_cycles()
        parker = self._waiting.parker()
        self.shared.waiting.append(parker)
        # Who has the turn wakes all who stand here when giving it back, so look only now.
        if self._turn.locked() and seat.at >= self.shared.count and not self.shared.over:
            in_one_go(parker.park())

    async def _take_held(self) -> None:
        self._pull(self.stream.__next__)

    def _stream_for(self, seat: Seat, alone: Alone) -> LiveStream:
        reader = SyncReader(self, seat, alone)
        stream = LiveStream(reader, self._now)
        stream.watch(end=reader.ended)
        return stream


class SyncReader(Reader):
    """A reader of a synchronous stream."""

    __slots__ = ()

    def __iter__(self) -> Generator[Any, Any, Any]:
        reading: Generator[Any, Any, Any] = self._live.read(self._seat, self._alone)
        return reading

    def close(self) -> None:
        """Leave; the last one closes the stream."""
        self._live.go(self._seat)
