"""Retry, limiter and breaker on the way of a call that goes well, beside what people use today."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import agentperf
from tests.benchmarks.harness import Peer, Race
from tests.benchmarks.rows import Row, faster
from tests.benchmarks.work import awork, work

MANY = 100_000_000
"""A limit that no benchmark reaches."""


def _tenacity() -> Callable[[str], Any]:
    import tenacity

    return tenacity.retry(stop=tenacity.stop_after_attempt(3))(work)


def _tenacity_async() -> Callable[[str], Any]:
    import tenacity

    return tenacity.retry(stop=tenacity.stop_after_attempt(3))(awork)


def _stamina() -> Callable[[str], Any]:
    import stamina

    return stamina.retry(on=ValueError, attempts=3)(work)


def _stamina_async() -> Callable[[str], Any]:
    import stamina

    return stamina.retry(on=ValueError, attempts=3)(awork)


def _limits(strategy: str) -> Callable[[str], Any]:
    import limits

    limiter = getattr(limits.strategies, strategy)(limits.storage.MemoryStorage())
    item = limits.parse(f"{MANY}/minute")

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not limiter.hit(item, "k"):
            raise RuntimeError
        return work(*args, **kwargs)

    return wrapper


def _pyrate() -> Callable[[str], Any]:
    from pyrate_limiter import Duration, Limiter, Rate

    return Limiter(Rate(MANY, Duration.MINUTE)).as_decorator(name="k", weight=1)(work)


def _throttled() -> Callable[[str], Any]:
    from throttled import Throttled, rate_limiter

    return Throttled(key="k", using="token_bucket", quota=rate_limiter.per_min(MANY))(work)


def _throttled_async() -> Callable[[str], Any]:
    from throttled.asyncio import Throttled, rate_limiter

    return Throttled(key="k", using="token_bucket", quota=rate_limiter.per_min(MANY))(awork)


def _aiolimiter() -> Callable[[str], Any]:
    from aiolimiter import AsyncLimiter

    limiter = AsyncLimiter(MANY, 60)

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async with limiter:
            return await awork(*args, **kwargs)

    return wrapper


def _pybreaker() -> Callable[[str], Any]:
    import pybreaker

    return pybreaker.CircuitBreaker()(work)


def _circuitbreaker() -> Callable[[str], Any]:
    from circuitbreaker import circuit

    return circuit(work)


def _circuitbreaker_async() -> Callable[[str], Any]:
    from circuitbreaker import circuit

    return circuit(awork)


def _purgatory() -> Callable[[str], Any]:
    from purgatory import SyncCircuitBreakerFactory

    return SyncCircuitBreakerFactory()("b")(work)


def _purgatory_async() -> Callable[[str], Any]:
    from purgatory import AsyncCircuitBreakerFactory

    return AsyncCircuitBreakerFactory()("b")(awork)


def _threading_semaphore() -> Callable[[str], Any]:
    semaphore = threading.Semaphore(8)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with semaphore:
            return work(*args, **kwargs)

    return wrapper


def _asyncio_semaphore() -> Callable[[str], Any]:
    semaphore = asyncio.Semaphore(8)

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async with semaphore:
            return await awork(*args, **kwargs)

    return wrapper


def _executor() -> Callable[[str], Any]:
    pool = ThreadPoolExecutor()

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        return pool.submit(work, *args, **kwargs).result(timeout=30)

    return wrapper


def _asyncio_timeout() -> Callable[[str], Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        async with asyncio.timeout(30):
            return await awork(*args, **kwargs)

    return wrapper


def _except() -> Callable[[str], Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return work(*args, **kwargs)
        except ConnectionError:
            return "instead"

    return wrapper


def _except_async() -> Callable[[str], Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return await awork(*args, **kwargs)
        except ConnectionError:
            return "instead"

    return wrapper


def _hyx_bulkhead() -> Callable[[str], Any]:
    from hyx.bulkhead import bulkhead

    return bulkhead(max_concurrency=8, max_capacity=8)(awork)


def _anyio_timeout() -> Callable[[str], Any]:
    import anyio

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        with anyio.fail_after(30):
            return await awork(*args, **kwargs)

    return wrapper


def _hyx_fallback() -> Callable[[str], Any]:
    from hyx.fallback import fallback

    async def instead(*args: Any, **kwargs: Any) -> str:
        return "instead"

    return fallback(instead, on=ConnectionError)(awork)


RETRY = faster(floor=10, goal=30)
BREAKER = faster(floor=1, goal=2)
LIMIT = faster(floor=3, goal=8)
LIMIT_ASYNC = faster(floor=1.5, goal=4)

RACES = (
    Race(
        "retry, first attempt, sync",
        lambda: agentperf.retry()(work),
        (Peer("tenacity", _tenacity, RETRY), Peer("stamina", _stamina, RETRY)),
    ),
    Race(
        "retry, first attempt, async",
        lambda: agentperf.retry()(awork),
        (Peer("tenacity", _tenacity_async, RETRY), Peer("stamina", _stamina_async, RETRY)),
    ),
    Race(
        "rate_limited, admitted, sync",
        lambda: agentperf.rate_limited(f"{MANY}/min")(work),
        (
            Peer("limits fixed window", lambda: _limits("FixedWindowRateLimiter"), LIMIT),
            Peer("limits moving window", lambda: _limits("MovingWindowRateLimiter"), LIMIT),
            Peer("pyrate-limiter", _pyrate, LIMIT),
            Peer("throttled-py", _throttled, LIMIT),
        ),
    ),
    Race(
        "rate_limited, admitted, async",
        lambda: agentperf.rate_limited(f"{MANY}/min")(awork),
        (
            Peer("aiolimiter", _aiolimiter, LIMIT_ASYNC),
            Peer("throttled-py", _throttled_async, LIMIT_ASYNC),
        ),
    ),
    Race(
        "circuit_breaker, closed, sync",
        lambda: agentperf.circuit_breaker()(work),
        (
            Peer("circuitbreaker", _circuitbreaker, BREAKER),
            Peer("purgatory", _purgatory, BREAKER),
            Peer("pybreaker", _pybreaker, BREAKER),
        ),
    ),
    Race(
        "circuit_breaker, closed, async",
        lambda: agentperf.circuit_breaker()(awork),
        (
            Peer("circuitbreaker", _circuitbreaker_async, BREAKER),
            Peer("purgatory", _purgatory_async, BREAKER),
        ),
    ),
    Race(
        "bulkhead, a place free, sync",
        lambda: agentperf.bulkhead(8)(work),
        (Peer("threading.Semaphore by hand", _threading_semaphore),),
    ),
    Race(
        "bulkhead, a place free, async",
        lambda: agentperf.bulkhead(8)(awork),
        (
            Peer("asyncio.Semaphore by hand", _asyncio_semaphore),
            Peer("hyx", _hyx_bulkhead),
        ),
    ),
    Race(
        "bulkhead, adaptive, async",
        lambda: agentperf.bulkhead(8, adaptive=True)(awork),
        (Peer("asyncio.Semaphore by hand", _asyncio_semaphore),),
    ),
    Race(
        "timeout, in time, sync (without the other thread)",
        lambda: agentperf.timeout(30)(work),
        (Peer("ThreadPoolExecutor by hand", _executor),),
    ),
    Race(
        "timeout, in time, async",
        lambda: agentperf.timeout(30)(awork),
        (
            Peer("asyncio.timeout by hand", _asyncio_timeout),
            Peer("anyio.fail_after by hand", _anyio_timeout),
        ),
    ),
    Race(
        "fallback, not needed, sync",
        lambda: agentperf.fallback("instead")(work),
        (Peer("try and except by hand", _except),),
    ),
    Race(
        "fallback, not needed, async",
        lambda: agentperf.fallback("instead")(awork),
        (
            Peer("try and except by hand", _except_async),
            Peer("hyx", _hyx_fallback),
        ),
    ),
)

TOGETHER = tuple(
    replace(race, path=f"{race.path}, 8 threads", threads=8)
    for race in RACES
    if "async" not in race.path and not race.path.startswith("timeout")
)
"""From several threads at once, but for the timeout, which has threads of its own."""


def rows(rounds: int) -> Iterator[Row]:
    """Measure the traffic policies in both colours, and from several threads at once."""
    for race in (*RACES, *TOGETHER):
        yield from race.rows(rounds)
