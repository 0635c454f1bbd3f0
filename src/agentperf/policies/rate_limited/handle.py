"""What can be asked of the limiter of a decorated function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf._engine.waiting import LoopWaiting, in_one_go
from agentperf.abc.waiting import Waiting
from agentperf.errors import ConfigurationError
from agentperf.policies.rate_limited.bucket import DIMENSIONS, ONE, UNTIL_WOKEN, Bucket
from agentperf.policies.rate_limited.decorator import RateLimited
from agentperf.policies.rate_limited.gcra import NANO


@dataclass(frozen=True, slots=True)
class Outlook:
    """What would become of a call, if it were made now.

    Attributes:
        admitted: Whether it would be let in at once.
        wait: Seconds until it would be let in, those who wait already being served first; None
            where nobody knows, as for a place of `concurrency`, or where it could never fit.
        limit: What it would wait for, such as `"60/min requests"`; empty if it would be let in.
    """

    admitted: bool
    wait: float | None
    limit: str = ""


if TYPE_CHECKING:
    from agentperf.policies.rate_limited.shared.bucket import SharedBucket


class LimiterHandle:
    """The limiter of one decorated function, on the host that was current at its making."""

    def __init__(
        self, host: Host, target: Target, policy: RateLimited, leading: tuple[Any, ...] = ()
    ) -> None:
        self._host = host
        self._target = target
        self._policy = policy
        self._limits = policy.limits
        self._key_of = policy.key_of(target)
        self._leading = leading
        shared = policy.store is not None
        buckets = policy.shared_buckets(host) if shared else policy.buckets(host)
        self._estimate = policy.estimate(target, buckets.outputs[target.operation])
        self._head_start = policy.head_start(target)
        self._oversize = policy.oversize

    def _bucket(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bucket:
        key = None if self._key_of is None else self._key_of((*self._leading, *args), kwargs)
        if self._policy.store is not None:
            return self._policy.shared_buckets(self._host).of(key)
        buckets = self._policy.buckets(self._host)
        return buckets.single if self._key_of is None else buckets.by_key[key]

    def _own(self, args: tuple[Any, ...], kwargs: dict[str, Any], method: str) -> Bucket:
        if self._policy.store is not None:
            raise ConfigurationError(
                f"{method}() is for limits in memory; what fits of one in a store, "
                "remaining() and await aremaining() tell"
            )
        return self._bucket(args, kwargs)

    def remaining(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        """Return what fits now, by dimension, for a call with these arguments; consumes nothing.

        The arguments only matter for a limiter with `by=`, and then all that a call needs have to
        be there. Less than nothing is a debt. A limit in a store is asked there, which blocks.

        Raises:
            ConfigurationError: The store has to be awaited: use `aremaining`.
            Exception: The store fails.
        """
        return cast("dict[str, int]", in_one_go(self._remaining(None, args, kwargs)))

    async def aremaining(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        """Return the same as `remaining`, without holding an event loop up."""
        return await self._remaining(LoopWaiting(self._host.clock), args, kwargs)

    async def _remaining(
        self, waiting: Waiting | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> dict[str, int]:
        bucket = self._bucket(args, kwargs)
        if self._policy.store is None:
            return bucket.remaining(self._host.clock.now_ns())
        from agentperf._engine.stores import StoreReach

        stores = self._policy.stores(self._host)
        reach = StoreReach(self._host, self._target.operation, stores, waiting)
        return await cast("SharedBucket", bucket).left(reach)

    def peek(self, *args: Any, **kwargs: Any) -> Outlook:
        """Tell whether a call with these arguments would be let in now, else when.

        Takes nothing. It is how things stand: calls that end, fail or come meanwhile change it.

        Example:
            outlook = agentperf.handle(complete).limiter.peek(messages)
            if not outlook.admitted: ...
        """
        bucket, now = self._own(args, kwargs, "peek"), self._host.clock.now_ns()
        whole = (*self._leading, *args)
        need = ONE if self._estimate is None else self._estimate(whole, kwargs)
        lead = 0 if self._head_start is None else self._head_start(whole, kwargs)
        if self._oversize == "clamp":
            need = bucket.clamped(need)
        too_small = bucket.fits_ever(need)
        if too_small is not None and self._oversize == "error":
            return Outlook(admitted=False, wait=None, limit=too_small[1])
        wait = bucket.outlook(now, need, now - lead, borrow=self._oversize == "borrow")
        if wait == 0:
            return Outlook(admitted=True, wait=0.0)
        seconds = None if wait == UNTIL_WOKEN else wait / NANO
        return Outlook(admitted=False, wait=seconds, limit=bucket.tightest(now, need))

    def learn(self, headers: Mapping[str, str], /, *args: Any, **kwargs: Any) -> None:
        """Learn from the headers of a reply that the limiter itself doesn't see.

        No more is left then than they say; `retry-after` pauses all calls of the key. For replies
        that were seen inside of the function, as by a hook of an HTTP client.

        Args:
            headers: The reply's headers.
            *args: Those of a call, where the limiter has a `by`.
            **kwargs: The same.
        """
        from agentperf.policies.rate_limited.replies import lesson_of

        clock = self._host.clock
        refused = any(str(name).lower().startswith("retry-after") for name in headers)
        lesson = lesson_of(headers, clock.wall(), refused=refused)
        if lesson:
            self._own(args, kwargs, "learn").heed(clock.now_ns(), lesson)

    def share(self, *args: Any, **kwargs: Any) -> float:
        """Return the share of its rates at which calls go now.

        That is 1.0, or less for a while after the upstream refused calls.
        """
        return self._own(args, kwargs, "share").share(self._host.clock.now_ns())

    def waiting(self, *args: Any, **kwargs: Any) -> int:
        """Return how many calls of this process wait."""
        return self._bucket(args, kwargs).waiting

    def __repr__(self) -> str:
        limits = self._limits
        told = [
            f"{rate} {name}"
            for name, rates in zip(DIMENSIONS, limits.rates, strict=True)
            for rate in rates
        ]
        told += [] if limits.concurrency is None else [f"{limits.concurrency} at once"]
        return f"<limiter: {', '.join(told)}>"
