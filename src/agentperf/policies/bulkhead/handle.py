"""What can be asked of the bulkhead of a decorated function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from agentperf._engine.hosting import Host
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.site import Target
from agentperf._engine.waiting import in_one_go
from agentperf.abc.waiting import Waiting
from agentperf.policies.bulkhead.decorator import Bulkhead

if TYPE_CHECKING:
    from agentperf._engine.places import Places
    from agentperf.policies.bulkhead.shared.places import SharedPlaces


@dataclass(frozen=True, slots=True)
class BulkheadStats:
    """The figures of one bulkhead on one host, at one moment.

    Attributes:
        limit: How many places there are.
        in_use: How many of them are taken, by calls of this host; more than there are for a while
            after an adaptive limit was lowered.
        waiting: Calls of this host that wait for one.
        rejected: Calls that were refused so far.
    """

    limit: int
    in_use: int
    waiting: int
    rejected: int


class BulkheadHandle:
    """The bulkhead of one decorated function, on the host that was current at its making."""

    def __init__(
        self, host: Host, target: Target, policy: Bulkhead, leading: tuple[Any, ...] = ()
    ) -> None:
        self._host = host
        self._target = target
        self._policy = policy
        self._key_of = policy.key_of(target)
        self._leading = leading

    def _places(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Places | SharedPlaces:
        key = None if self._key_of is None else self._key_of((*self._leading, *args), kwargs)
        if self._policy.store is not None:
            return self._policy.shared_compartments(self._host).of(key).places
        compartments = self._policy.compartments(self._host)
        one = compartments.single if self._key_of is None else compartments.by_key[key]
        return one.places

    def stats(self, *args: Any, **kwargs: Any) -> BulkheadStats:
        """Return the figures of now, for calls with these arguments.

        The arguments only matter for a bulkhead with `by=`, and then all that a call needs have to
        be there. Of one in a store these are the figures of this process.
        """
        places = self._places(args, kwargs)
        return BulkheadStats(places.limit, places.in_use, places.waiting, places.refused)

    def in_use(self, *args: Any, **kwargs: Any) -> int:
        """Return how many places are taken now, by all processes; takes none.

        The arguments are those of `stats`. A bulkhead in a store is asked there, which blocks.

        Raises:
            ConfigurationError: The store has to be awaited: use `ain_use`.
            BackendError: The store fails.
        """
        return cast(int, in_one_go(self._in_use(None, args, kwargs)))

    async def ain_use(self, *args: Any, **kwargs: Any) -> int:
        """Return the same as `in_use`, without holding an event loop up."""
        return await self._in_use(LoopWaiting(self._host.clock), args, kwargs)

    async def _in_use(
        self, waiting: Waiting | None, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> int:
        places = self._places(args, kwargs)
        if self._policy.store is None:
            return places.in_use
        from agentperf._engine.stores import HandleReach

        stores = self._policy.stores(self._host)
        reach = HandleReach(self._host, self._target.operation, stores, waiting)
        return await cast("SharedPlaces", places).look(reach)

    def __repr__(self) -> str:
        if self._key_of is not None:
            return f"<bulkhead: {self._policy.options.concurrency} for each value of by>"
        places = self._places((), {})
        return f"<bulkhead: {places.in_use} of {places.limit}, {places.waiting} waiting>"
