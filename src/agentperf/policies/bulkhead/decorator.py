"""The decorator `bulkhead`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentperf._base.callables import is_decorated_bare
from agentperf._base.options import By, OnFailure, checked_by, one_by_position, refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.hosting import Host
from agentperf._engine.keyed import KeyOf, keyed_by
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf.errors import ConfigurationError
from agentperf.policies.bulkhead.layer import BulkheadLayer, Compartments
from agentperf.policies.bulkhead.options import BulkheadOptions, check_shared, checked

if TYPE_CHECKING:
    from agentperf._engine.priority import HeadStart, Priority
    from agentperf.abc.stores import AnyStore, Stores
    from agentperf.policies.bulkhead.shared.layer import SharedCompartments

_EXAMPLE = "bulkhead needs a number of places: @bulkhead(8) or @bulkhead(8, queue=20)"


@dataclass(frozen=True, eq=False)
class Bulkhead(Policy):
    """Bounds how many calls run at once; made by `bulkhead`."""

    kind = "bulkhead"
    hands_on = True

    options: BulkheadOptions
    by: By | None = None
    priority: Priority | None = None
    store: str | AnyStore | None = None
    on_store_failure: OnFailure = "local"

    def check(self, target: Target) -> None:
        """Refuse options that don't fit the function's parameters."""
        self.key_of(target)
        self.head_start(target)

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the bulkhead in front of `inner`."""
        if self.store is not None:
            return self._bind_shared(site, inner)
        layer = BulkheadLayer(
            site,
            self.options,
            self.name or site.operation,
            key_of=self.key_of(site.target),
            head_start=self.head_start(site.target),
        )
        return self._minded(site, layer.bound(self.compartments(site.host), inner))

    def compartments(self, host: Host) -> Compartments:
        """Return the places on `host`; functions that share the object share them."""
        return host.state(
            Compartments,
            lambda: Compartments(self.options),
            owners=(self,),
            name=self.name,
            options=self.options,
        )

    def _bind_shared(self, site: Site, inner: Step) -> Step:
        from agentperf.policies.bulkhead.shared.layer import SharedBulkheadLayer

        layer = SharedBulkheadLayer(
            site,
            self.shared_compartments(site.host),
            self.stores(site.host),
            self.name or site.operation,
            on_failure=self.on_store_failure,
            key_of=self.key_of(site.target),
            head_start=self.head_start(site.target),
        )
        return self._minded(site, layer.bound(inner))

    def shared_compartments(self, host: Host) -> SharedCompartments:
        """Return what this process knows of places in a store."""
        from agentperf.policies.bulkhead.shared.layer import SharedCompartments

        name = self.name or ""  # it has one: `bulkhead` sees to that
        return host.state(
            SharedCompartments,
            lambda: SharedCompartments(name, self.options, host.clock.now),
            owners=(self,),
            name=name,
            options=(self.options, self.store, self.on_store_failure),
        )

    def stores(self, host: Host) -> Stores:
        """Return the store."""
        from agentperf._engine.stores import store_on

        assert self.store is not None  # noqa: S101 - who has none doesn't ask
        return store_on(host, self.store)

    def key_of(self, target: Target) -> KeyOf | None:
        """Return what tells the keys of calls apart; None where all calls share the places."""
        return keyed_by(self.by, target)

    def head_start(self, target: Target) -> HeadStart | None:
        """Return what tells the head start of a waiting call; None where all have the same."""
        if self.priority is None:
            return None
        from agentperf._engine.priority import head_starts

        return head_starts(self.priority, target)

    def _minded(self, site: Site, step: Step) -> Step:
        """Have the priority of every call looked at, also of those that needn't wait."""
        if self.priority is None:
            return step
        from agentperf._engine.priority import minded

        return minded(self.head_start(site.target), step)


@one_by_position("bulkhead({0}, queue={1})")
def bulkhead(
    concurrency: int | None = None,
    *,
    queue: int | None = None,
    adaptive: bool | tuple[int, int] = False,
    by: By | None = None,
    priority: Priority | None = None,
    store: str | AnyStore | None = None,
    on_store_failure: OnFailure = "local",
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Bulkhead:
    """Bound how many calls run at once; further ones wait for a place, in the order they came.

    Threads, tasks and event loops share the places, and with a `store` processes do. A stream has
    its place until it ends. Who is cancelled while waiting, or whose call is, leaves nothing
    behind.

    Adaptive, the number of places is found out by how the upstream answers: a call that meets a
    rate limit, an overload or a timeout cuts it by 30 %; answers, or first items of streams, that
    take longer than usual lower it slowly; otherwise it grows slowly while it is made use of. (The
    gradient of Netflix's concurrency-limits, with multiplicative decrease on drops.)

    Args:
        concurrency: How many calls may run at once.
        queue: How many more may wait, with a `store` in each process; 0 for none. By default any
            number waits, for as long as it takes: put a `timeout` above it to bound that.
        adaptive: True lets the number of places move between 1 and `concurrency`; two numbers are
            the least and the most, and `concurrency` is where it begins.
        by: Keep a number of places for each value: names of parameters, a template, or a callable
            over the call's arguments; `"scope.tenant"`, `"scope.user"` and `"scope.session"` are
            whom `agentperf.scope` names. The 1,024 values used last are remembered, and those
            whose calls run or wait.
        priority: Who goes first of those who wait: the name of a parameter, or a callable over the
            call's arguments. A number from -10 to 10, higher ones first; each step counts as if the
            call had come ten seconds earlier, so nobody is overtaken for ever.
        store: Where the places are granted for several processes: `"redis://localhost:6379"` (with
            the plugin agentperf-redis), `"sqlite:PATH"` for the processes of one machine, or a
            store. The bulkhead needs a `name` then, which all of them know it by. The places of a
            process that dies are free after 15 seconds.
        on_store_failure: What to do while the store fails: `"local"` keeps the limit for this
            process alone, `"open"` lets every call in, `"closed"` raises `StoreUnavailable`.
        name: Share one number of places among all policies that name it.
        enabled: False, or a callable that says False at a call, lets calls pass.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.bulkhead(8, queue=20)
        async def complete(prompt: str) -> str: ...

    Raises:
        ConfigurationError: An option is malformed, contradicts another, or names no parameter.
        StoreUnavailable: At a call, the store fails, and `on_store_failure="closed"`.
        BulkheadFull: At a call, there is neither a place nor room to wait; or the call would hold
            up an event loop while it waits.
    """
    refuse_unknown(bulkhead, unknown)
    if concurrency is None or is_decorated_bare(concurrency):
        raise ConfigurationError(_EXAMPLE)
    options = checked(concurrency, queue, adaptive)
    check_shared(store, name, on_store_failure, options)
    if priority is not None:
        from agentperf._engine.priority import checked_priority

        priority = checked_priority(priority)
    return Bulkhead(
        options,
        by=checked_by(by),
        priority=priority,
        store=store,
        on_store_failure=on_store_failure,
        name=name,
        enabled=enabled,
    )
