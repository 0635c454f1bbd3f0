"""What can be asked of the limiter of a decorated function."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from agentperf._engine.hosting import Host
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.pushback import DIMENSIONS
from agentperf._engine.site import Target
from agentperf._engine.waiting import in_one_go
from agentperf.abc.waiting import Waiting
from agentperf.errors import ConfigurationError
from agentperf.events import LimitChanged
from agentperf.policies.rate_limited.bucket import ONE, UNTIL_WOKEN, Bucket
from agentperf.policies.rate_limited.decorator import RateLimited
from agentperf.policies.rate_limited.gcra import NANO
from agentperf.policies.rate_limited.layer import limit_changed

if TYPE_CHECKING:
    from agentperf._engine.stores import HandleReach
    from agentperf.policies.rate_limited.caution import Change
    from agentperf.policies.rate_limited.shared.bucket import SharedBucket


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


Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class LimiterHandle:
    """The limiter of one decorated function, on the host that was current at its making.

    A limit in a store is asked there. What begins with `a` is the same as what doesn't, without
    holding an event loop up.
    """

    def __init__(
        self,
        host: Host,
        target: Target,
        policy: RateLimited,
        leading: Args = (),
        operation: str | None = None,
    ) -> None:
        self._host = host
        self._target = target
        self._policy = policy
        self._limits = policy.limits
        self._key_of = policy.key_of(target)
        self._leading = leading
        self._operation = operation or target.operation
        shared = policy.store is not None
        buckets = policy.shared_buckets(host) if shared else policy.buckets(host)
        self._estimate = policy.estimate(target, buckets.outputs[target.operation])
        self._head_start = policy.head_start(target)
        self._borrows = policy.oversize == "borrow"

    def remaining(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        """Return what fits now, by dimension, for a call with these arguments; consumes nothing.

        The arguments only matter for a limiter with `by=`, and then all that a call needs have to
        be there. Less than nothing is a debt.

        Raises:
            ConfigurationError: The store has to be awaited: use `aremaining`.
            BackendError: The store fails.
        """
        return cast("dict[str, int]", in_one_go(self._remaining(None, args, kwargs)))

    async def aremaining(self, *args: Any, **kwargs: Any) -> dict[str, int]:
        """Return the same as `remaining`, without holding an event loop up."""
        return await self._remaining(self._awaited, args, kwargs)

    async def _remaining(
        self, waiting: Waiting | None, args: Args, kwargs: Kwargs
    ) -> dict[str, int]:
        if self._policy.store is None:
            return self._in_memory(args, kwargs).remaining(self._host.clock.now_ns())
        return await self._shared(args, kwargs).left(self._reach(waiting))

    def peek(self, *args: Any, **kwargs: Any) -> Outlook:
        """Tell whether a call with these arguments would be let in now, else when.

        Takes nothing. It is how things stand: calls that end, fail or come meanwhile change it. Of
        those who wait for a limit in a store, only the calls of this process are known.

        Example:
            outlook = agentperf.handle(complete).limiter.peek(messages)
            if not outlook.admitted: ...

        Raises:
            ConfigurationError: The store has to be awaited: use `apeek`.
            BackendError: The store fails.
        """
        return cast("Outlook", in_one_go(self._peek(None, args, kwargs)))

    async def apeek(self, *args: Any, **kwargs: Any) -> Outlook:
        """Return the same as `peek`, without holding an event loop up."""
        return await self._peek(self._awaited, args, kwargs)

    async def _peek(self, waiting: Waiting | None, args: Args, kwargs: Kwargs) -> Outlook:
        bucket, now = self._bucket(args, kwargs), self._host.clock.now_ns()
        whole = (*self._leading, *args)
        need = ONE if self._estimate is None else self._estimate(whole, kwargs)
        rank = now - (0 if self._head_start is None else self._head_start(whole, kwargs))
        if self._policy.oversize == "clamp":
            need = bucket.clamped(need)
        too_small = bucket.fits_ever(need)
        if too_small is not None and self._policy.oversize == "error":
            return Outlook(admitted=False, wait=None, limit=too_small[1])
        if self._policy.store is None:
            wait = bucket.outlook(now, need, rank, borrow=self._borrows)
        else:
            shared, reach = self._shared(args, kwargs), self._reach(waiting)
            wait = await shared.told_outlook(reach, need, rank, borrow=self._borrows)
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

        Raises:
            ConfigurationError: `headers` is no mapping; or the store has to be awaited: use
                `alearn`.
            BackendError: The store fails.
        """
        in_one_go(self._learn(None, headers, args, kwargs))

    async def alearn(self, headers: Mapping[str, str], /, *args: Any, **kwargs: Any) -> None:
        """Do the same as `learn`, without holding an event loop up."""
        await self._learn(self._awaited, headers, args, kwargs)

    async def _learn(
        self, waiting: Waiting | None, headers: Mapping[str, str], args: Args, kwargs: Kwargs
    ) -> None:
        from agentperf.policies.rate_limited.replies import lesson_of

        if not hasattr(headers, "items"):  # those of `http.client` are no mapping
            raise ConfigurationError(
                f"headers is a {type(headers).__name__}: the headers of a reply are needed, "
                'limiter.learn({"retry-after": "20"}) or limiter.learn(response.headers)'
            )
        headers, clock = dict(headers.items()), self._host.clock
        refused = any(str(name).lower().startswith("retry-after") for name in headers)
        lesson = lesson_of(headers, clock.wall(), refused=refused)
        if not lesson:
            return
        if self._policy.store is None:
            change = self._in_memory(args, kwargs).heed(clock.now_ns(), lesson)
            if change is not None:
                self._tell(change)
            return
        bucket, reach = self._shared(args, kwargs), self._reach(waiting)
        bucket.learn(clock.now_ns(), lesson, self._tell)
        await bucket.pay(reach, clock.now_ns)
        bucket.wake()

    def share(self, *args: Any, **kwargs: Any) -> float:
        """Return the share of its rates at which calls go now.

        That is 1.0, or less for a while after the upstream refused calls.

        Raises:
            ConfigurationError: The store has to be awaited: use `ashare`.
            BackendError: The store fails.
        """
        return cast("float", in_one_go(self._share(None, args, kwargs)))

    async def ashare(self, *args: Any, **kwargs: Any) -> float:
        """Return the same as `share`, without holding an event loop up."""
        return await self._share(self._awaited, args, kwargs)

    async def _share(self, waiting: Waiting | None, args: Args, kwargs: Kwargs) -> float:
        if self._policy.store is None:
            return self._in_memory(args, kwargs).share(self._host.clock.now_ns())
        return await self._shared(args, kwargs).told_share(self._reach(waiting))

    def waiting(self, *args: Any, **kwargs: Any) -> int:
        """Return how many calls of this process wait."""
        return self._bucket(args, kwargs).waiting

    # -- where the state is

    def _bucket(self, args: Args, kwargs: Kwargs) -> Bucket:
        in_store = self._policy.store is not None
        return self._shared(args, kwargs) if in_store else self._in_memory(args, kwargs)

    def _in_memory(self, args: Args, kwargs: Kwargs) -> Bucket:
        buckets = self._policy.buckets(self._host)
        return buckets.single if self._key_of is None else buckets.by_key[self._key(args, kwargs)]

    def _shared(self, args: Args, kwargs: Kwargs) -> SharedBucket:
        return self._policy.shared_buckets(self._host).of(self._key(args, kwargs))

    def _key(self, args: Args, kwargs: Kwargs) -> Hashable:
        return None if self._key_of is None else self._key_of((*self._leading, *args), kwargs)

    @property
    def _awaited(self) -> Waiting:
        return LoopWaiting(self._host.clock)

    def _reach(self, waiting: Waiting | None) -> HandleReach:
        from agentperf._engine.stores import HandleReach

        return HandleReach(self._host, self._operation, self._policy.stores(self._host), waiting)

    def _tell(self, change: Change) -> None:
        tell = self._host.bus.emitter(LimitChanged)
        if tell is not None:
            tell(limit_changed(self._operation, self._policy.name or self._operation, change))

    def __repr__(self) -> str:
        limits = self._limits
        told = [
            f"{rate} {name}"
            for name, rates in zip(DIMENSIONS, limits.rates, strict=True)
            for rate in rates
        ]
        told += [] if limits.concurrency is None else [f"{limits.concurrency} at once"]
        return f"<limiter: {', '.join(told)}>"
