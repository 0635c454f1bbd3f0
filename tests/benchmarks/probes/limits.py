"""Limiters: who is served when, what a refused or cancelled request leaves behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from tests.benchmarks.probes.probe import Decorator, Probe

PATIENCE = 3.0
"""Seconds after which waiting counts as hanging: three times what it takes at most."""
LATE = 0.5
"""Seconds that nobody has to wait who has to wait for nothing."""

Take = Callable[[str, int], Awaitable[Any]]
"""Asks for an amount under a key; raises, or gives False, when refused."""


@dataclass(frozen=True)
class Limits:
    """How one library limits; each is made for an amount, all of it usable at once.

    Attributes:
        waiting: Makes what waits for its turn, for so many a second.
        asking: Makes what refuses at once, for so many a minute.
        decorating: Makes the decorator that is meant for plain functions; waits, so many a second.
    """

    waiting: Callable[[int], Take] | None = None
    asking: Callable[[int], Take] | None = None
    decorating: Callable[[int], Decorator] | None = None


def given(feature: Callable[[int], Any] | None, amount: int) -> Any:
    """Make a limiter of a kind that the probe says the library has."""
    if feature is None:
        raise TypeError("the probe asks for what the adapter doesn't have")
    return feature(amount)


# -- the probes -----------------------------------------------------------------------------------


async def big_among_small(limits: Limits) -> None:
    """Three tasks take one unit again and again; a request for nine of ten comes in between."""
    take: Take = given(limits.waiting, 10)

    async def small() -> None:
        while True:
            await take("k", 1)
            await asyncio.sleep(0)

    steady = [asyncio.ensure_future(small()) for _ in range(3)]
    await asyncio.sleep(0.2)
    try:
        served = await asyncio.wait_for(take("k", 9), PATIENCE)
    except TimeoutError:
        raise AssertionError(f"not served within {PATIENCE:g} s") from None
    finally:
        for task in steady:
            task.cancel()
    assert served is not False, "refused"


async def larger_than_capacity(limits: Limits) -> None:
    """Eleven of ten: an error at once, or served on credit, but no waiting for ever."""
    take: Take = given(limits.waiting, 10)
    assert await take("k", 1) is not False, "what fits was refused"
    try:
        await asyncio.wait_for(take("k", 11), PATIENCE)
    except TimeoutError:
        raise AssertionError(f"still waiting after {PATIENCE:g} s") from None
    except Exception:  # noqa: BLE001 - a refusal, in whatever words
        return


async def keys_are_independent(limits: Limits) -> None:
    """Somebody waits a second for key a; key b is free."""
    take: Take = given(limits.waiting, 1)
    await take("a", 1)
    waiter = asyncio.ensure_future(take("a", 1))
    await asyncio.sleep(0.05)
    began = time.monotonic()
    await take("b", 1)
    waited = time.monotonic() - began
    waiter.cancel()
    assert waited < LATE, f"b waited {waited:.2f} s"


async def waiters_are_cancelled(limits: Limits) -> None:
    """One per second: behind three that gave up, the next waits one second and not four."""
    take: Take = given(limits.waiting, 1)
    await take("k", 1)
    waiters = [asyncio.ensure_future(take("k", 1)) for _ in range(3)]
    await asyncio.sleep(0.05)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
    try:
        await asyncio.wait_for(take("k", 1), 2 * PATIENCE / 3)
    except TimeoutError:
        raise AssertionError(
            "what cancelled waiters had asked for was kept from the next"
        ) from None


async def refused_consumes_nothing(limits: Limits) -> None:
    """Six of ten are taken, five more refused: then four must be there still."""
    take: Take = given(limits.asking, 10)

    async def admitted(amount: int) -> bool:
        try:
            return await take("k", amount) is not False
        except Exception:  # noqa: BLE001 - a refusal, in whatever words
            return False

    assert await admitted(6), "6 of 10 refused"
    assert not await admitted(5), "11 of 10 admitted"
    assert await admitted(4), "the refused request was counted"


async def async_function(limits: Limits) -> None:
    """The second call has to wait; others on the event loop must not wait with it."""
    decorate: Decorator = given(limits.decorating, 1)

    async def work() -> int:
        return 1

    try:
        limited = decorate(work)
    except Exception:  # noqa: BLE001 - refusing it is right, in whatever words
        return
    assert await limited() == 1
    longest, stop = 0.0, False

    async def tick() -> None:
        nonlocal longest
        last = time.monotonic()
        while not stop:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            longest, last = max(longest, now - last), now

    ticking = asyncio.ensure_future(tick())
    await asyncio.sleep(0.02)
    assert await limited() == 1
    await asyncio.sleep(0.02)
    stop = True
    await ticking
    assert longest < LATE, f"the event loop stood still for {longest:.2f} s"


# -- the libraries --------------------------------------------------------------------------------


def _agentperf() -> Limits:
    import agentperf

    def limited(rate: str, on_limit: Any) -> Take:
        @agentperf.rate_limited(rate, by="key", cost="amount", on_limit=on_limit)
        async def take(key: str, amount: int) -> None: ...

        return take

    return Limits(
        waiting=lambda amount: limited(f"{amount}/s", "wait"),
        asking=lambda amount: limited(f"{amount}/min", "raise"),
        decorating=lambda amount: agentperf.rate_limited(f"{amount}/s"),
    )


def _aiolimiter() -> Limits:
    from aiolimiter import AsyncLimiter

    def waiting(amount: int) -> Take:
        limiter = AsyncLimiter(amount, 1)
        return lambda _, amount: limiter.acquire(amount)

    return Limits(waiting)


def _limits(strategy: str) -> Limits:
    import limits

    def asking(amount: int) -> Take:
        limiter = getattr(limits.strategies, strategy)(limits.storage.MemoryStorage())
        rate = limits.RateLimitItemPerMinute(amount)

        async def take(key: str, amount: int) -> bool:
            return limiter.hit(rate, key, cost=amount)

        return take

    return Limits(asking=asking)


def _openlimit() -> Limits:
    import openlimit

    def waiting(amount: int) -> Take:
        limiter = openlimit.ChatRateLimiter(request_limit=60_000, token_limit=60 * amount)
        return lambda _, amount: limiter.wait_for_capacity(amount)

    return Limits(waiting)


def _pyrate() -> Limits:
    from pyrate_limiter import BucketFactory, InMemoryBucket, Limiter, Rate, RateItem

    class ByName(BucketFactory):
        """A bucket for each key, as its documentation shows."""

        def __init__(self, amount: int, milliseconds: int) -> None:
            self.rates, self.buckets = [Rate(amount, milliseconds)], dict[str, Any]()

        def wrap_item(self, name: str, weight: int = 1) -> RateItem:
            return RateItem(name, time.monotonic_ns() // 1_000_000, weight=weight)

        def get(self, item: RateItem) -> Any:
            if item.name not in self.buckets:
                self.buckets[item.name] = self.create(InMemoryBucket, self.rates)
            return self.buckets[item.name]

    def waiting(amount: int) -> Take:
        return Limiter(ByName(amount, 1000)).try_acquire_async

    def asking(amount: int) -> Take:
        limiter = Limiter(ByName(amount, 60_000))
        return lambda key, amount: limiter.try_acquire_async(key, amount, blocking=False)

    def decorating(amount: int) -> Decorator:
        return Limiter(Rate(amount, 1000)).as_decorator(name="k", weight=1)

    return Limits(waiting, asking, decorating)


def _steindamm() -> Limits:
    from steindamm import AsyncLocalTokenBucket

    def bucket(amount: int, period: float, max_sleep: float) -> Take:
        async def take(key: str, cost: int) -> None:
            one = AsyncLocalTokenBucket(
                name=key,
                capacity=amount,
                refill_frequency=period / amount,
                refill_amount=1,
                max_sleep=max_sleep,
                tokens_to_consume=cost,
            )
            async with one:
                pass

        return take

    return Limits(
        waiting=lambda amount: bucket(amount, 1, 30),
        asking=lambda amount: bucket(amount, 60, 0.001),
    )


def _throttled() -> Limits:
    import throttled
    from throttled import asyncio as throttled_async
    from throttled import rate_limiter

    def taking(quota: Any, timeout: float) -> Take:
        limiter = throttled_async.Throttled(
            using="token_bucket",
            quota=quota,
            store=throttled_async.MemoryStore(),
            timeout=timeout,
        )

        async def take(key: str, cost: int) -> bool:
            return not (await limiter.limit(key, cost)).limited

        return take

    def decorating(amount: int) -> Decorator:
        quota = rate_limiter.per_sec(amount)
        return throttled.Throttled(key="k", using="token_bucket", quota=quota, timeout=30)

    return Limits(
        waiting=lambda amount: taking(rate_limiter.per_sec(amount), 30),
        asking=lambda amount: taking(rate_limiter.per_min(amount), -1),
        decorating=decorating,
    )


CONTESTANTS: dict[str, Callable[[], Limits]] = {
    "agentperf": _agentperf,
    "aiolimiter": _aiolimiter,
    "limits (fixed window)": lambda: _limits("FixedWindowRateLimiter"),
    "limits (moving window)": lambda: _limits("MovingWindowRateLimiter"),
    "openlimit": _openlimit,
    "pyrate-limiter": _pyrate,
    "steindamm": _steindamm,
    "throttled-py": _throttled,
}

WAITING = ("aiolimiter", "pyrate-limiter", "steindamm", "throttled-py")
BY_KEY = ("pyrate-limiter", "steindamm", "throttled-py")
ASKING = ("limits (fixed window)", "limits (moving window)", *BY_KEY)

PROBES = (
    Probe("a big request among steady small ones: served in time", big_among_small, WAITING, True),
    Probe(
        "a request larger than the capacity: answered at once",
        larger_than_capacity,
        ("openlimit", *WAITING),
        real_time=True,
    ),
    Probe("waiting for one key: another is not delayed", keys_are_independent, BY_KEY, True),
    Probe("3 waiters are cancelled: the next waits 1 turn", waiters_are_cancelled, WAITING, True),
    Probe("a refused request: nothing is consumed", refused_consumes_nothing, ASKING),
    Probe(
        "`async def` under the decorator of a limiter: works, or is refused when decorated",
        async_function,
        ("pyrate-limiter", "throttled-py"),
        real_time=True,
    ),
)
