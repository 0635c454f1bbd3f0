"""A limiter at work: reserves what a call needs, waits where it must, settles by what was used."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from agentperf._base.bounded import BoundedRegistry
from agentperf._base.endings import Ending
from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.results import usage_of
from agentperf._engine.site import Site
from agentperf._engine.streams import LIVE
from agentperf.errors import RateLimitExceeded, RequestTooLarge
from agentperf.events import CallDelayed, CallRefused, LeaseSettled
from agentperf.policies.rate_limited.bucket import DIMENSIONS, Bucket, Limits, Need
from agentperf.usage import Usage

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
KeyOf = Callable[[Args, Kwargs], Hashable]
Estimate = Callable[[Args, Kwargs], Need]

_NOTHING: Need = (0, 0, 0, 0)
_ONE: Need = (1, 0, 0, 0)


class Lease:
    """What was reserved for one call."""

    __slots__ = ("bucket", "need", "usage")

    def __init__(self, bucket: Bucket, need: Need) -> None:
        self.bucket = bucket
        self.need = need
        self.usage: Usage | None = None


class Buckets:
    """The buckets of one limiter on one host: one, or one for each value of `by`."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.single = Bucket(limits)
        self.by_key: BoundedRegistry[Bucket] = BoundedRegistry(lambda: Bucket(limits))


class LimiterLayer:
    """A limiter in front of one function, on one host; a gate that may have to wait."""

    def __init__(
        self,
        site: Site,
        buckets: Buckets,
        name: str,
        *,
        key_of: KeyOf | None,
        estimate: Estimate | None,
        max_wait: float,
    ) -> None:
        self._site = site
        self._buckets = buckets
        self._name = name
        self._key_of = key_of
        self._estimate = estimate
        self._max_wait = max_wait
        self._now = site.host.clock.now
        self._counts_tokens = buckets.limits.counts_tokens
        self._tell_refused = site.host.bus.emitter(CallRefused)
        self._tell_delayed = site.host.bus.emitter(CallDelayed)
        self._tell_settled = site.host.bus.emitter(LeaseSettled)
        self.watches_items = self._counts_tokens
        # Without places to free or tokens to put right, a call that went well leaves nothing to do.
        self._settles = self._counts_tokens or buckets.limits.concurrency is not None

    def bound(self, inner: Step) -> Step:
        """Put the limiter in front of `inner`."""
        run = self._site.driver.settled(self, inner)
        wait = self._site.driver.flow(self._wait_and_run, run)
        single, key_of, estimate, now = self._buckets.single, self._key_of, self._estimate, self._now

        def step(args: Args, kwargs: Kwargs) -> Any:
            bucket = single if key_of is None else self._buckets.by_key[key_of(args, kwargs)]
            need = _ONE if estimate is None else estimate(args, kwargs)
            if bucket.take(now(), need) is None:
                return run(Lease(bucket, need), args, kwargs)
            return wait(Lease(bucket, need), args, kwargs)

        return step

    async def _wait_and_run(
        self, proceed: Callable[..., Any], lease: Lease, args: Args, kwargs: Kwargs
    ) -> Any:
        await self._wait(lease)
        return await proceed(lease, args, kwargs)

    async def _wait(self, lease: Lease) -> None:
        bucket, waiting, began = lease.bucket, self._site.waiting, self._now()
        self._refuse_what_never_fits(lease)
        wait = bucket.take(began, lease.need)
        if wait is None:
            return
        if self._max_wait == 0 or (wait > self._max_wait and wait != float("inf")):
            raise self._refused(lease, wait)
        waiter = bucket.queue(lease.need)
        try:
            while (wait := bucket.advance(self._now(), waiter, waiting.parker)) is not None:
                left = began + self._max_wait - self._now()
                if left <= 0 or (wait > left and wait != float("inf")):
                    raise self._refused(lease, wait)
                assert waiter.parker is not None  # noqa: S101 - `advance` has just made it
                await waiter.parker.park(min(wait, left))
        finally:
            bucket.leave(waiter)
        if self._tell_delayed is not None:
            self._tell_delayed(
                CallDelayed(
                    operation=self._site.target.operation,
                    name=self._name,
                    waited=self._now() - began,
                )
            )

    # -- settling

    def done(self, lease: Lease, value: Any) -> None:
        """Put right what was reserved by what the answer says it used."""
        if not self._settles:
            return
        usage = lease.usage if type(value) in LIVE else usage_of(value)
        used = None
        if usage is not None and self._counts_tokens:
            used = (
                lease.need[0],
                usage.input_tokens - usage.cached_tokens + usage.output_tokens,
                usage.input_tokens - usage.cached_tokens,
                usage.output_tokens,
            )
            self._tell(lease, used)
        lease.bucket.settle(self._now(), lease.need, used)

    def failed(self, lease: Lease, error: Exception) -> None:  # noqa: ARG002 - a gate's contract
        """Give everything back."""
        lease.bucket.settle(self._now(), lease.need, _NOTHING)

    def dropped(self, lease: Lease, ending: Ending) -> None:  # noqa: ARG002 - a gate's contract
        """Give everything back, unless a stream has said what it used so far."""
        used = _NOTHING
        if lease.usage is not None:
            usage = lease.usage
            used = (
                lease.need[0],
                usage.total_tokens,
                usage.input_tokens,
                usage.output_tokens,
            )
        lease.bucket.settle(self._now(), lease.need, used)

    def seen(self, lease: Lease, item: Any) -> None:
        """Look for the usage among the items of a stream."""
        if (usage := usage_of(item)) is not None:
            lease.usage = usage

    def _tell(self, lease: Lease, used: Need) -> None:
        if self._tell_settled is not None:
            self._tell_settled(
                LeaseSettled(
                    operation=self._site.target.operation,
                    name=self._name,
                    reserved_tokens=lease.need[1],
                    used_tokens=used[1],
                )
            )

    # -- refusal

    def _refuse_what_never_fits(self, lease: Lease) -> None:
        gcra = lease.bucket.fits_ever(lease.need)
        if gcra is None:
            return
        sizes = ", ".join(
            f"{size} {name}" for name, size in zip(DIMENSIONS, lease.need, strict=True) if size
        )
        self._say_refused(None)
        raise RequestTooLarge(
            f"a call of {sizes} never fits the limit {self._name!r} of {gcra.rate} with a burst of "
            f"{gcra.burst}; make the call smaller or the limit larger",
            policy="rate_limited",
            name=self._name,
        )

    def _refused(self, lease: Lease, wait: float) -> RateLimitExceeded:
        retry_after = None if wait == float("inf") else wait
        self._say_refused(retry_after)
        again = "" if retry_after is None else f", in {retry_after:.3g} s"
        waiting = lease.bucket.waiting
        ahead = f", {waiting} waiting" if waiting else ""
        return RateLimitExceeded(
            f"the limit {self._name!r} lets this call in later{again}{ahead}; max_wait is "
            f"{self._max_wait:g} s",
            policy="rate_limited",
            name=self._name,
            retry_after=retry_after,
        )

    def _say_refused(self, retry_after: float | None) -> None:
        if self._tell_refused is not None:
            self._tell_refused(
                CallRefused(
                    operation=self._site.target.operation,
                    policy="rate_limited",
                    name=self._name,
                    retry_after=retry_after,
                )
            )
