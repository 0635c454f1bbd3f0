"""A stream under way, and who reads it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any

from agentperf._base.clock import Clock
from agentperf._engine.frames import current_frame
from agentperf._engine.streams import AnyLiveStream
from agentperf.errors import SharedStreamError
from agentperf.policies.cached.flights.broadcast import Broadcast, Seat
from agentperf.policies.cached.flights.flight import Boarding, Flight, Flights, computing

Alone = Callable[[], Awaitable[Any]]

NOT_YOURS = "others read this stream too, or have read further: nothing can be sent into it"

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
