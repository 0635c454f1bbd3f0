"""Breakers: what counts, how many are let through on trial, who has to wait for whom."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.probes.probe import Decorator, Probe, outcomes, threaded

FAILURES = 4
"""Failures, with nothing else in between, that open a breaker."""

REST = 0.5
"""Seconds for which it stays open."""
MEETING = 2.0
"""Seconds that threads wait for each other."""


@dataclass(frozen=True)
class Breaker:
    """How one library breaks circuits.

    Attributes:
        make: Makes a decorator, with a breaker that opens after `FAILURES`, for `REST` seconds,
            and then lets one call through on trial, where that can be said.
        make_plain: The same for plain functions, where they take another one.
        asynchronous: Whether the first is for `async def`.
    """

    make: Callable[[], Decorator]
    make_plain: Callable[[], Decorator] | None = None
    asynchronous: bool = True

    def around_plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Decorate with what is meant for plain functions."""
        return (self.make_plain or self.make)()(function)


class Upstream:
    """What is guarded: counts the calls that reach it, and fails, or hangs, when told to."""

    def __init__(self, breaker: Breaker) -> None:
        self.runs = 0
        self.broken = False
        self.hanging = False

        async def on_loop() -> None:
            self.runs += 1
            while self.hanging:  # noqa: ASYNC110 - an event is of one loop; threads have their own
                await asyncio.sleep(0.01)
            if self.broken:
                raise ConnectionError

        def in_thread() -> None:
            asyncio.run(on_loop())

        guarded = breaker.make()(on_loop if breaker.asynchronous else in_thread)
        self.call = guarded if breaker.asynchronous else threaded(guarded)

    async def fail(self, times: int) -> None:
        """Let so many calls fail, one after another."""
        self.broken = True
        for _ in range(times):
            await outcomes(self.call())
        self.broken = False

    async def cancel(self, times: int) -> None:
        """Cancel so many calls while they run, one after another."""
        self.hanging = True
        for _ in range(times):
            call = asyncio.ensure_future(self.call())
            await asyncio.sleep(0.01)
            call.cancel()
            await outcomes(call)
        self.hanging = False

    async def reached(self) -> bool:
        """Whether a call gets through."""
        before = self.runs
        await outcomes(self.call())
        return self.runs > before


# -- the probes -----------------------------------------------------------------------------------


async def half_open(breaker: Breaker) -> None:
    """Fifty come at once when it has rested; one is to find out, for all of them."""
    upstream = Upstream(breaker)
    await upstream.fail(FAILURES)
    assert not await upstream.reached(), "it did not open"
    await asyncio.sleep(2 * REST)
    before, upstream.hanging = upstream.runs, True
    calls = [asyncio.ensure_future(upstream.call()) for _ in range(50)]
    await asyncio.sleep(REST)
    inside = upstream.runs - before
    upstream.hanging = False
    await outcomes(*calls)
    assert inside == 1, f"{inside} inside at once"


async def cancelled(breaker: Breaker) -> None:
    """Neither a failure, which would open it, nor a success, which would forgive failures."""
    upstream = Upstream(breaker)
    await upstream.cancel(2 * FAILURES)
    assert await upstream.reached(), "counted as failures"
    upstream = Upstream(breaker)
    await upstream.fail(FAILURES - 1)
    await upstream.cancel(1)
    await upstream.fail(1)
    assert not await upstream.reached(), "counted as a success"


async def failing_stream(breaker: Breaker) -> None:
    """Each stream gives one item and breaks."""
    runs = 0

    async def stream() -> AsyncIterator[int]:
        nonlocal runs
        runs += 1
        yield 1
        raise ConnectionError

    guarded = breaker.make()(stream)

    async def read() -> list[int]:
        return [item async for item in guarded()]

    for _ in range(FAILURES):
        await outcomes(read())
    assert runs == FAILURES, f"{runs} of {FAILURES} streams were begun"
    await outcomes(read())
    assert runs == FAILURES, "not counted"


async def threads(breaker: Breaker) -> None:
    """Five threads meet inside the function, or none of them leaves it."""
    meeting = threading.Barrier(5)

    def meet() -> int:
        return meeting.wait(MEETING)

    guarded = threaded(breaker.around_plain(meet))
    results = await outcomes(*(guarded() for _ in range(5)))
    assert sorted(map(str, results)) == list("01234"), "one after another"


async def async_function(breaker: Breaker) -> None:
    """The decorator that is meant for plain functions, on an `async def`."""
    runs = 0

    async def work() -> None:
        nonlocal runs
        runs += 1
        raise ConnectionError

    try:
        guarded = breaker.around_plain(work)
    except Exception:  # noqa: BLE001 - refusing it is right, in whatever words
        return

    async def call() -> None:
        await guarded()

    for _ in range(FAILURES + 1):
        await outcomes(call())
    assert runs == FAILURES, "not counted" if runs > FAILURES else f"{runs} calls were made"


# -- the libraries --------------------------------------------------------------------------------

_numbers = itertools.count()


def _name() -> str:
    """Make a name, for libraries that share a breaker among those of one name."""
    return f"breaker-{next(_numbers)}"


def _agentperf() -> Breaker:
    import agentperf

    return Breaker(
        lambda: agentperf.circuit_breaker(
            failure_rate=1.0, minimum_calls=FAILURES, window=FAILURES, open_for=REST, probes=1
        )
    )


def _aiobreaker() -> Breaker:
    from aiobreaker import CircuitBreaker

    return Breaker(lambda: CircuitBreaker(FAILURES, dt.timedelta(seconds=REST)))


def _cashews() -> Breaker:
    import cashews

    def make() -> Decorator:
        cache = cashews.Cache()
        cache.setup("mem://")
        # 99 per cent is the highest share that it takes
        return cache.circuit_breaker(99, period=60, ttl=REST, min_calls=FAILURES, key="k")

    return Breaker(make)


def _circuitbreaker() -> Breaker:
    from circuitbreaker import circuit

    return Breaker(lambda: circuit(FAILURES, REST, name=_name()))


def _hyx() -> Breaker:
    from hyx.circuitbreaker import consecutive_breaker

    return Breaker(
        lambda: consecutive_breaker(
            failure_threshold=FAILURES - 1,  # it opens when there are more
            recovery_time_secs=REST,
            recovery_threshold=1,
        )
    )


def _interlock() -> Breaker:
    from interlock import CircuitBreaker, Config

    config = Config(
        failure_rate_threshold=1.0,
        minimum_number_of_calls=FAILURES,
        window_size=FAILURES,
        permitted_calls_in_half_open=1,
        wait_duration_in_open=REST,
    )
    return Breaker(lambda: CircuitBreaker(name=_name(), config=config))


def _purgatory() -> Breaker:
    from purgatory import AsyncCircuitBreakerFactory, SyncCircuitBreakerFactory

    return Breaker(
        lambda: AsyncCircuitBreakerFactory(FAILURES, REST)(_name()),
        lambda: SyncCircuitBreakerFactory(FAILURES, REST)(_name()),
    )


def _pybreaker() -> Breaker:
    from pybreaker import CircuitBreaker

    return Breaker(lambda: CircuitBreaker(FAILURES, REST), asynchronous=False)


CONTESTANTS: dict[str, Callable[[], Breaker]] = {
    "agentperf": _agentperf,
    "aiobreaker": _aiobreaker,
    "cashews": _cashews,
    "circuitbreaker": _circuitbreaker,
    "hyx": _hyx,
    "interlock-cb": _interlock,
    "purgatory": _purgatory,
    "pybreaker": _pybreaker,
}

ON_LOOP = ("aiobreaker", "cashews", "circuitbreaker", "hyx", "interlock-cb", "purgatory")
PLAIN = ("aiobreaker", "circuitbreaker", "interlock-cb", "purgatory", "pybreaker")

PROBES = (
    Probe(
        "50 calls when it is half-open: 1 is let through", half_open, (*ON_LOOP, "pybreaker"), True
    ),
    Probe("cancelled calls: count neither way", cancelled, ON_LOOP),
    Probe("a stream that fails half-way: counted", failing_stream, (*ON_LOOP, "pybreaker")),
    Probe("5 threads through a closed breaker: at the same time", threads, PLAIN),
    Probe(
        "`async def` under the decorator of a breaker: counted, or refused when decorated",
        async_function,
        PLAIN,
    ),
)
