"""What bulkheads in memory and in stores have in common: who goes first, and what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from agentperf._base.keys import digest
from agentperf._engine.keyed import KeyOf
from agentperf._engine.site import Site
from agentperf.errors import BulkheadFull
from agentperf.events import CallDelayed, CallRefused
from agentperf.policies.bulkhead.stays import Stays

if TYPE_CHECKING:
    from agentperf._engine.priority import HeadStart

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class Held(Protocol):
    """What a refusal tells of places."""

    @property
    def limit(self) -> int:
        """How many there are."""
        ...

    @property
    def in_use(self) -> int:
        """How many are taken."""
        ...

    @property
    def waiting(self) -> int:
        """How many calls wait for one."""
        ...


class Entrance:
    """Where the calls of one function come to a bulkhead, on one host.

    Args:
        site: The function's place in its pipeline.
        queue: How many calls may wait; None for any number.
        name: What the bulkhead is called in events and errors.
        key_of: What tells apart calls that have places of their own; None where there are none.
        head_start: What tells the head start of a call that waits; None where all have the same.
    """

    settles = True

    def __init__(
        self,
        site: Site,
        queue: int | None,
        name: str,
        key_of: KeyOf | None,
        head_start: HeadStart | None,
    ) -> None:
        self._site = site
        self._queue = queue
        self._name = name
        self._key_of = key_of
        self._head_start = head_start
        self._now = site.host.clock.now
        self._tell_refused = site.host.bus.emitter(CallRefused)
        self._tell_delayed = site.host.bus.emitter(CallDelayed)

    def _rank(self, args: Args, kwargs: Kwargs) -> int:
        """Return where a call stands in the line: by the time it came, less its head start."""
        lead = 0 if self._head_start is None else self._head_start(args, kwargs)
        return self._site.host.clock.now_ns() - lead

    def _say_delayed(self, began: float) -> None:
        if self._tell_delayed is not None:
            self._tell_delayed(
                CallDelayed(
                    operation=self._site.operation,
                    policy="bulkhead",
                    name=self._name,
                    waited=self._now() - began,
                )
            )

    def _say_refused(self, retry_after: float | None) -> None:
        if self._tell_refused is not None:
            self._tell_refused(
                CallRefused(
                    operation=self._site.operation,
                    policy="bulkhead",
                    name=self._name,
                    retry_after=retry_after,
                )
            )

    def _refused(
        self, places: Held, stays: Stays, args: Args, kwargs: Kwargs, why: str
    ) -> BulkheadFull:
        retry_after = stays.wait(places.waiting + 1, places.limit)
        self._say_refused(retry_after)
        # What may be told of a call's key: the beginning of its digest.
        key = "" if self._key_of is None else digest(self._key_of(args, kwargs))[:12]
        of_key = f" of the key {key}" if key else ""
        again = "" if retry_after is None else f"; perhaps in {retry_after:.3g} s"
        return BulkheadFull(
            f"the bulkhead {self._name!r}{of_key} is full: {places.in_use} calls are under way, "
            f"{places.waiting} wait{again}{why}",
            policy="bulkhead",
            name=self._name,
            retry_after=retry_after,
            key=key,
        )

    def _why(self, *, held_up: bool) -> str:
        return "; a synchronous call doesn't wait on an event loop's thread" if held_up else ""
