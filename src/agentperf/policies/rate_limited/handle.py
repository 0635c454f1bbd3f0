"""What can be asked of the limiter of a decorated function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
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


class LimiterHandle:
    """The limiter of one decorated function, on the host that was current at its making."""

    def __init__(
        self, host: Host, target: Target, policy: RateLimited, leading: tuple[Any, ...] = ()
    ) -> None:
        self._host = host
        self._buckets = policy.buckets(host)
        self._key_of = policy.key_of(target)
        self._leading = leading
        self._estimate = policy.estimate(target, self._buckets.outputs[target.operation])
        self._head_start = policy.head_start(target)
        self._oversize = policy.oversize

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

    def peek(self, *args: Any, **kwargs: Any) -> Outlook:
        """Tell whether a call with these arguments would be let in now, else when.

        Takes nothing. It is how things stand: calls that end, fail or come meanwhile change it.

        Example:
            outlook = agentperf.handle(complete).limiter.peek(messages)
            if not outlook.admitted: ...
        """
        bucket, now = self._bucket(args, kwargs), self._host.clock.now_ns()
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
            self._bucket(args, kwargs).heed(clock.now_ns(), lesson)

    def share(self, *args: Any, **kwargs: Any) -> float:
        """Return the share of its rates at which calls go now.

        That is 1.0, or less for a while after the upstream refused calls.
        """
        return self._bucket(args, kwargs).share(self._host.clock.now_ns())

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
