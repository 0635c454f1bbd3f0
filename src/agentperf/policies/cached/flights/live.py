"""Live streams that several read: who moves them on, and who closes them.

A synchronous stream is moved by whichever reader needs the next item, while the others wait for it.
An asynchronous one is moved by one task of its own, and only as far as some reader asks.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any

from agentperf._base.clock import Clock
from agentperf._base.endings import Ending
from agentperf._engine.frames import current_frame
from agentperf._engine.streams import AnyLiveStream, AsyncLiveStream, LiveStream
from agentperf._engine.waiting import LoopWaiting, ThreadWaiting, in_one_go, in_trio, on_event_loop
from agentperf.abc.waiting import Parker
from agentperf.errors import SharedStreamError
from agentperf.policies.cached.flights.broadcast import Broadcast, Seat
from agentperf.policies.cached.flights.flight import Boarding, Flight, Flights, computing

Alone = Callable[[], Awaitable[Any]]

_NOT_YOURS = "others read this stream too, or have read further: nothing can be sent into it"
_ITSELF = "a stream can't wait for an item that is made of this very item"


class Live(ABC):
    """A stream under way and its readers.

    Args:
        flight: What opened the stream.
        flights: Where others find it.
        stream: The one stream there is.
        shared: What it has given so far.
        clock: The host's.
    """

    def __init__(
        self,
        flight: Flight,
        flights: Flights,
        stream: Any,
        shared: Broadcast,
        clock: Clock,
    ) -> None:
        self.flight = flight
        self.stream = stream
        self.shared = shared
        self._flights = flights
        self._now = clock.now
        if stream.frame is None:
            # What it costs is booked once, to the call that began it, whoever reads it.
            stream.frame = current_frame.get()
        with flights.lock:
            self._leaders = None if flight.leaderless else shared.join()

    async def begin(self) -> None:
        """Take the first item where it is here already; close a stream for which nobody waits."""
        if self.stream.primed:
            await self._take_held()
        self.left()

    @abstractmethod
    def admits(self) -> bool:
        """Whether who asks now can read along without holding up an event loop."""

    @abstractmethod
    def stop(self) -> None:
        """Have the stream closed, which nobody reads any more."""

    @abstractmethod
    async def _take_held(self) -> None:
        """Take the first item, which is here already."""

    @abstractmethod
    def _stream_for(self, seat: Seat, alone: Alone) -> AnyLiveStream:
        """Make the stream of one reader."""

    @abstractmethod
    async def fly(self) -> None:
        """Move the stream, where that is not its readers' business; raises nothing."""

    def join(self, boarding: Boarding, alone: Alone) -> AnyLiveStream | None:
        """Give one more reader a stream, from the start; None where that is not held any more.

        Args:
            boarding: The reader's place.
            alone: Opens a stream for this reader alone, should it turn out that it can't have the
                first item of this one.
        """
        if boarding.leads:
            seat, self._leaders = self._leaders, None
        else:
            seat = self.shared.join()
        if seat is None:
            return None
        if boarding.waiter is not None:
            seat.waiter = boarding.waiter
            boarding.stays = True
        return self._stream_for(seat, alone)

    def left(self, boarding: Boarding | None = None) -> None:
        """Close the stream where who came to read it has gone without."""
        seat = None
        if boarding is not None and boarding.leads:
            seat, self._leaders = self._leaders, None
        if self.leave(seat or Seat()):
            self.stop()

    def leave(self, seat: Seat) -> bool:
        """Give a seat back; True for who has to close the stream."""
        if seat.gone:
            return False
        seat.gone = True
        flight = self.flight
        with self._flights.lock:
            if seat.waiter is not None:
                seat.waiter.waits_on.discard(flight)
            is_last = self.shared.leave(seat, expected=flight.aboard > 0)
            if is_last:
                self._flights.end(flight)  # who comes now begins anew
            return is_last

    def go(self, seat: Seat) -> None:
        """Give a seat back; the last one closes the stream."""
        if self.leave(seat):
            self.stop()

    def _mind_cycles(self) -> None:
        """Refuse to wait for what waits for this very context.

        Raises:
            SharedStreamError: It does.
        """
        mine = computing.get()
        if mine is not None and self._flights.depends(self.flight, mine):
            raise SharedStreamError(_ITSELF)


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
            raise SharedStreamError(_NOT_YOURS)
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
            raise SharedStreamError(_NOT_YOURS)
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


class _Reader:
    """What the stream of one reader reads from: it looks like the stream that is shared."""

    __slots__ = ("__weakref__", "_alone", "_live", "_seat")

    def __init__(self, live: Any, seat: Seat, alone: Alone) -> None:
        self._live = live
        self._seat = seat
        self._alone = alone

    def ended(self, _: Any, ending: Ending, __: BaseException | None) -> None:
        """Leave, at the latest when the reader's stream ends."""
        self._live.go(self._seat)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # what a protocol asks for is this reader's own
        value = getattr(self._live.stream, name)
        return Lent(value, self) if name == "response" else value

    def __repr__(self) -> str:
        return repr(self._live.stream)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._live.stream.__reduce_ex__(protocol)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return self._live.stream.__class__  # type: ignore[no-any-return]


class SyncReader(_Reader):
    """A reader of a synchronous stream."""

    __slots__ = ()

    def __iter__(self) -> Generator[Any, Any, Any]:
        reading: Generator[Any, Any, Any] = self._live.read(self._seat, self._alone)
        return reading

    def close(self) -> None:
        """Leave; the last one closes the stream."""
        self._live.go(self._seat)


class AsyncReader(_Reader):
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


class Lent:
    """Somebody else's response, as one of its readers sees it: to close it is to leave."""

    def __init__(self, response: Any, reader: Any) -> None:
        self.__dict__.update(_response=response, close=reader.close)
        if hasattr(reader, "aclose"):
            self.__dict__["aclose"] = reader.aclose

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_response"], name)

    def __repr__(self) -> str:
        return repr(self._response)

    @property  # type: ignore[misc]
    def __class__(self) -> type:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._response)


def live(
    flight: Flight,
    flights: Flights,
    stream: AnyLiveStream,
    shared: Broadcast,
    clock: Clock,
    *,
    flies: bool,
) -> Live:
    """Make a stream one that others can read along.

    Args:
        flight: What opened it.
        flights: Where others find it.
        stream: The stream.
        shared: Takes what it gives.
        clock: The host's.
        flies: Whether the task that opened an asynchronous stream goes on to move it.
    """
    if type(stream) is AsyncLiveStream:
        return AsyncLive(flight, flights, stream, shared, clock, flies=flies)
    return SyncLive(flight, flights, stream, shared, clock)
