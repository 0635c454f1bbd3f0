"""What can be asked of the limiter of a decorated function."""

from __future__ import annotations

from typing import Any

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf.policies.rate_limited.bucket import DIMENSIONS, Bucket
from agentperf.policies.rate_limited.decorator import RateLimited


class LimiterHandle:
    """The limiter of one decorated function, on the host that was current at its making."""

    def __init__(
        self, host: Host, target: Target, policy: RateLimited, leading: tuple[Any, ...] = ()
    ) -> None:
        self._host = host
        self._buckets = policy.buckets(host)
        self._key_of = policy.key_of(target)
        self._leading = leading

    def _bucket(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Bucket:
        if self._key_of is None:
            return self._buckets.single
        return self._buckets.by_key[self._key_of((*self._leading, *args), kwargs)]

    def remaining(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        """Return what fits now, by dimension, for a call with these arguments; consumes nothing.

        The arguments only matter for a limiter with `by=`, and then all that a call needs have to
        be there. Less than nothing is a debt.
        """
        return self._bucket(args, kwargs).remaining(self._host.clock.now_ns())

    def waiting(self, *args: Any, **kwargs: Any) -> int:
        """Return how many calls wait."""
        return self._bucket(args, kwargs).waiting

    def __repr__(self) -> str:
        limits = self._buckets.limits
        told = [
            f"{rate} {name}"
            for name, rates in zip(DIMENSIONS, limits.rates, strict=True)
            for rate in rates
        ]
        told += [] if limits.concurrency is None else [f"{limits.concurrency} at once"]
        return f"<limiter: {', '.join(told)}>"
