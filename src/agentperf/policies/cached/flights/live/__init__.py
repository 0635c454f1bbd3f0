"""Live streams that several read: who moves them on, and who closes them.

A synchronous stream is moved by whichever reader needs the next item, while the others wait for it.
An asynchronous one is moved by one task of its own, and only as far as some reader asks.
"""

from __future__ import annotations

from agentperf._base.clock import Clock
from agentperf._engine.streams import AnyLiveStream, AsyncLiveStream
from agentperf.policies.cached.flights.broadcast import Broadcast
from agentperf.policies.cached.flights.flight import Flight, Flights
from agentperf.policies.cached.flights.live.awaited import AsyncLive
from agentperf.policies.cached.flights.live.blocking import SyncLive
from agentperf.policies.cached.flights.live.under_way import Live


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
