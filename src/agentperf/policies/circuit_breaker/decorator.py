"""The decorator `circuit_breaker`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, overload

from agentperf._base.callables import is_decorated_bare, refuse_unfit
from agentperf._base.durations import Duration, seconds
from agentperf._base.options import (
    By,
    OnFailure,
    Share,
    checked_by,
    goes_with_store,
    refuse_unknown,
    share,
    whole,
)
from agentperf._engine.bindings import Step
from agentperf._engine.choosing import On, checked_on
from agentperf._engine.hosting import Host
from agentperf._engine.keyed import keyed_by
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf._engine.substitutes import check_substitute
from agentperf.errors import ConfigurationError
from agentperf.policies.circuit_breaker.layer import BreakerLayer, Circuits, Judging, KeyOf
from agentperf.policies.circuit_breaker.machine import Rules

if TYPE_CHECKING:
    from agentperf.abc.stores import AnyStore, Stores
    from agentperf.policies.circuit_breaker.shared.circuit import SharedCircuits

F = TypeVar("F", bound=Callable[..., Any])

_FAILED_IF = "failed_if=lambda answer: answer.status_code >= 500"


@dataclass(frozen=True, eq=False)
class CircuitBreaker(Policy):
    """Stops calling an upstream that fails; made by `circuit_breaker`."""

    kind = "circuit_breaker"
    hands_on = True

    rules: Rules
    by: By | None = None
    fallback: Callable[..., Any] | None = None
    judging: Judging = field(default_factory=Judging)
    store: str | AnyStore | None = None
    on_store_failure: OnFailure = "local"

    def check(self, target: Target) -> None:
        """Refuse options that don't fit the function's parameters."""
        self.key_of(target)
        if self.fallback is not None:
            check_substitute(self.fallback, target, "fallback=")

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the breaker in front of `inner`."""
        if self.store is not None:
            return self._bind_shared(site, inner)
        name = self.name or site.target.operation
        layer = BreakerLayer(
            site,
            self.circuits(site.host),
            name,
            self.key_of(site.target),
            self.fallback,
            judging=self.judging,
        )
        return layer.bound(inner)

    def circuits(self, host: Host) -> Circuits:
        """Return the circuits on `host`; functions that share the object share them."""
        return host.state(
            Circuits,
            lambda: Circuits(self.rules),
            owners=(self,),
            name=self.name,
            options=self.rules,
        )

    def _bind_shared(self, site: Site, inner: Step) -> Step:
        from agentperf.policies.circuit_breaker.shared.layer import SharedBreakerLayer

        layer = SharedBreakerLayer(
            site,
            self.shared_circuits(site.host),
            self.name or site.target.operation,
            self.key_of(site.target),
            self.fallback,
            judging=self.judging,
            stores=self.stores(site.host),
            on_failure=self.on_store_failure,
        )
        return layer.bound(inner)

    def shared_circuits(self, host: Host) -> SharedCircuits:
        """Return what this process knows of the circuits in a store."""
        from agentperf.policies.circuit_breaker.shared.circuit import SharedCircuits

        name = self.name or ""  # it has one: `circuit_breaker` sees to that
        return host.state(
            SharedCircuits,
            lambda: SharedCircuits(name, self.rules, self.on_store_failure),
            owners=(self,),
            name=name,
            options=(self.rules, self.store, self.on_store_failure),
        )

    def stores(self, host: Host) -> Stores:
        """Return the store."""
        from agentperf._engine.stores import store_on

        assert self.store is not None  # noqa: S101 - who has none doesn't ask
        return store_on(host, self.store)

    def key_of(self, target: Target) -> KeyOf | None:
        """Return what tells the circuits of calls apart; None where all calls share one."""
        return keyed_by(self.by, target)


@overload
def circuit_breaker(function: F, /) -> F: ...
@overload
def circuit_breaker(
    *,
    on: On | None = None,
    failed_if: Callable[[Any], bool] | None = None,
    failure_rate: Share = 0.5,
    slow_rate: Share | None = None,
    slow_after: Duration | None = None,
    slow_first_item: Duration | None = None,
    window: int | Duration = 100,
    minimum_calls: int = 20,
    open_for: Duration = 30,
    probes: int = 3,
    by: By | None = None,
    fallback: Callable[..., Any] | None = None,
    store: str | AnyStore | None = None,
    on_store_failure: OnFailure = "local",
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
) -> CircuitBreaker: ...
def circuit_breaker(
    function: Any = None,
    /,
    *,
    on: On | None = None,
    failed_if: Callable[[Any], bool] | None = None,
    failure_rate: Share = 0.5,
    slow_rate: Share | None = None,
    slow_after: Duration | None = None,
    slow_first_item: Duration | None = None,
    window: int | Duration = 100,
    minimum_calls: int = 20,
    open_for: Duration = 30,
    probes: int = 3,
    by: By | None = None,
    fallback: Callable[..., Any] | None = None,
    store: str | AnyStore | None = None,
    on_store_failure: OnFailure = "local",
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Any:
    """Stop calling an upstream that fails, and try again when it may have recovered.

    Closed, it lets calls through and watches how they end. When the share of failures or slow calls
    in its window is too large it opens: calls are refused with `CircuitOpen` at once. After
    `open_for` it is half-open: a few probes go through, and their outcome closes it, or opens it
    for twice as long (ten minutes at most). An upstream that says how long to leave it alone
    (`Retry-After`) is left alone for that long.

    Which errors speak against the upstream is decided by `agentperf.classify`: wrong requests, rate
    limits and programming errors don't. Cancelled calls and streams that their reader left count
    neither way. A stream counts when it ends.

    Args:
        function: What is decorated, where no options are given.
        on: Which errors speak against the upstream instead: exception types, or a callable that is
            given the error.
        failed_if: Given the result of a call that returned; True counts it as a failure. Not asked
            of streams. The caller gets the result all the same.
        failure_rate: The share of failures, 0 to 1, at which it opens.
        slow_rate: The share of slow calls at which it opens; slow calls don't matter by default.
        slow_after: A call that takes longer is slow.
        slow_first_item: A stream whose first item comes later is slow.
        window: What the shares are taken over: a whole number of calls, or a time such as `"1m"`.
        minimum_calls: Calls in the window without which no share means anything.
        open_for: How long it stays open the first time.
        probes: How many calls decide in half-open; no more run at once.
        by: Keep a circuit for each value: names of parameters, a template, or a callable over the
            call's arguments. The 1,024 values used last are remembered.
        fallback: Called with the call's arguments in place of a refused call.
        store: Where the circuits are kept for several processes: `"redis://localhost:6379"` (with
            the plugin agentperf-redis), `"sqlite:PATH"` for the processes of one machine, or a
            store. The breaker needs a `name` then, which all of them know it by. It opens by the
            calls of all of them, and each sees that within a second, while it makes calls.
        on_store_failure: What to do while the store fails: `"local"` has this process decide by
            itself, `"open"` lets every call in, `"closed"` raises `StoreUnavailable`.
        name: Share one circuit among all policies that name it.
        enabled: False, or a callable that says False at a call, lets calls pass unwatched.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.circuit_breaker(failure_rate=0.3, window="1m", fallback=lambda q: "try later")
        def ask(question: str) -> str: ...

    Raises:
        ConfigurationError: An option is malformed, contradicts another, or names no parameter.
        CircuitOpen: At a call, the circuit is open and there is no fallback.
        StoreUnavailable: At a call, the store fails, and `on_store_failure="closed"`.
    """
    refuse_unknown(circuit_breaker, unknown)
    if is_decorated_bare(function):
        return circuit_breaker()(function)
    if function is not None:
        raise ConfigurationError(
            f"circuit_breaker({function!r}): options are given by name, as in "
            "circuit_breaker(failure_rate=0.3)"
        )
    if (slow_rate is None) != (slow_after is None and slow_first_item is None):
        raise ConfigurationError(
            "slow_rate= and slow_after= or slow_first_item= go together: "
            'slow_rate=0.5, slow_after="10s"'
        )
    if failed_if is not None and (not callable(failed_if) or isinstance(failed_if, type)):
        raise ConfigurationError(
            f"failed_if={failed_if!r}: a callable over the result, such as {_FAILED_IF}"
        )
    if failed_if is not None:
        refuse_unfit("failed_if", failed_if, _FAILED_IF, 1)
    if fallback is not None and not callable(fallback):
        raise ConfigurationError(
            f'fallback={fallback!r}: a callable, such as fallback=lambda question: "try later"'
        )
    example = 'circuit_breaker(store="redis://localhost:6379", name="search")'
    goes_with_store(store, on_store_failure, example)
    if store is not None:
        from agentperf._engine.stores import check_store

        check_store(store, name, "breaker", example)
    rules = Rules(
        failure_rate=share("failure_rate", failure_rate, 0.5),
        slow_rate=None if slow_rate is None else share("slow_rate", slow_rate, 0.5),
        slow_after=None if slow_after is None else seconds(slow_after, "slow_after"),
        window=_window(window),
        minimum_calls=whole("minimum_calls", minimum_calls, 20),
        open_for=seconds(open_for, "open_for"),
        probes=whole("probes", probes, 3),
    )
    return CircuitBreaker(
        rules,
        by=checked_by(by),
        fallback=fallback,
        store=store,
        on_store_failure=on_store_failure,
        name=name,
        enabled=enabled,
        judging=Judging(
            on=checked_on(on),
            failed_if=failed_if,
            slow_first_item=None
            if slow_first_item is None
            else seconds(slow_first_item, "slow_first_item"),
        ),
    )


def _window(value: int | Duration) -> int | float:
    if isinstance(value, int):
        return whole("window", value, 100)
    return seconds(value, "window")
