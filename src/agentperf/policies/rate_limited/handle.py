"""What can be asked of the limiter of a decorated function."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf._engine.waiting import LoopWaiting, in_one_go
from agentperf.abc.waiting import Waiting
from agentperf.policies.rate_limited.bucket import DIMENSIONS, Bucket
from agentperf.policies.rate_limited.decorator import RateLimited

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

    def _bucket(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bucket:
        key = None if self._key_of is None else self._key_of((*self._leading, *args), kwargs)
        if self._policy.store is not None:
            return self._policy.shared_buckets(self._host).of(key)
        buckets = self._policy.buckets(self._host)
        return buckets.single if self._key_of is None else buckets.by_key[key]

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
