"""The decorator `rate_limited`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from agentperf._base.callables import is_decorated_bare, refuse_async
from agentperf._base.durations import Duration, seconds
from agentperf._base.options import (
    By,
    OnFailure,
    checked_by,
    goes_with_store,
    one_by_position,
    refuse_unknown,
    whole,
)
from agentperf._base.rates import Rates, rates
from agentperf._engine.bindings import Step
from agentperf._engine.hosting import Host
from agentperf._engine.keyed import keyed_by
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf._engine.sizing import quick_count
from agentperf.errors import ConfigurationError
from agentperf.policies.rate_limited.bucket import Limits
from agentperf.policies.rate_limited.estimate import Estimate, estimator
from agentperf.policies.rate_limited.layer import Buckets, KeyOf, Learn, LimiterLayer, Oversize
from agentperf.policies.rate_limited.outputs import Outputs

if TYPE_CHECKING:
    from agentperf._engine.priority import HeadStart, Priority

if TYPE_CHECKING:
    from agentperf.abc.stores import AnyStore, Stores
    from agentperf.policies.rate_limited.shared.bucket import SharedBuckets

OnLimit = Literal["wait", "raise"]


@dataclass(frozen=True, eq=False)
class RateLimited(Policy):
    """Keeps calls within rates; made by `rate_limited`."""

    kind = "rate_limited"
    hands_on = True

    limits: Limits
    by: By | None = None
    cost: Callable[..., Any] | str | None = None
    max_wait: float = 60.0
    store: str | AnyStore | None = None
    on_store_failure: OnFailure = "local"
    oversize: Oversize = "error"
    learn: Learn | None = "errors"
    priority: Priority | None = None

    def check(self, target: Target) -> None:
        """Refuse options that don't fit the function's parameters."""
        self.key_of(target)
        self.estimate(target, Outputs())
        self.head_start(target)

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the limiter in front of `inner`."""
        if self.store is not None:
            return self._bind_shared(site, inner)
        buckets = self.buckets(site.host)
        layer = LimiterLayer(
            site,
            buckets,
            self.name or site.target.operation,
            key_of=self.key_of(site.target),
            estimate=self.estimate(site.target, buckets.outputs[site.target.operation]),
            max_wait=self.max_wait,
            oversize=self.oversize,
            learn=self.learn,
            head_start=self.head_start(site.target),
        )
        return self._minded(site, layer.bound(inner))

    def buckets(self, host: Host) -> Buckets:
        """Return what is left of the limit on `host`; functions that share the object share it."""
        return host.state(
            Buckets,
            lambda: Buckets(self.limits),
            owners=(self,),
            name=self.name,
            options=self.limits,
        )

    def _bind_shared(self, site: Site, inner: Step) -> Step:
        from agentperf.policies.rate_limited.shared.layer import SharedLimiterLayer

        buckets = self.shared_buckets(site.host)
        layer = SharedLimiterLayer(
            site,
            buckets,
            self.stores(site.host),
            self.name or site.target.operation,
            key_of=self.key_of(site.target),
            estimate=self.estimate(site.target, buckets.outputs[site.target.operation]),
            max_wait=self.max_wait,
            on_failure=self.on_store_failure,
            oversize=self.oversize,
            learn=self.learn,
            head_start=self.head_start(site.target),
        )
        return self._minded(site, layer.bound(inner))

    def shared_buckets(self, host: Host) -> SharedBuckets:
        """Return what this process knows of a limit in a store."""
        from agentperf.policies.rate_limited.shared.bucket import SharedBuckets

        name = self.name or ""  # it has one: `rate_limited` sees to that
        return host.state(
            SharedBuckets,
            lambda: SharedBuckets(name, self.limits),
            owners=(self,),
            name=name,
            options=(self.limits, self.store, self.on_store_failure),
        )

    def stores(self, host: Host) -> Stores:
        """Return the store."""
        from agentperf._engine.stores import store_on

        assert self.store is not None  # noqa: S101 - who has none doesn't ask
        return store_on(host, self.store)

    def key_of(self, target: Target) -> KeyOf | None:
        """Return what tells the keys of calls apart; None where all calls share one limit."""
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

    def estimate(self, target: Target, outputs: Outputs) -> Estimate | None:
        """Return what tells what a call will use; None where each is simply one request."""
        return estimator(self.limits, self.cost, target, quick_count, outputs)


@one_by_position("several rates as a list: rate_limited([{0}, {1}])")
def rate_limited(
    requests: Rates | None = None,
    *,
    tokens: Rates | None = None,
    input_tokens: Rates | None = None,
    output_tokens: Rates | None = None,
    concurrency: int | None = None,
    burst: int | None = None,
    cost: Callable[..., Any] | str | None = None,
    by: By | None = None,
    on_limit: OnLimit = "wait",
    max_wait: Duration = 60,
    store: str | AnyStore | None = None,
    on_store_failure: OnFailure = "local",
    oversize: Oversize = "error",
    learn: Learn | None = "errors",
    priority: Priority | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> RateLimited:
    """Keep calls within rates of requests, tokens and calls at once: make them wait, or refuse.

    Everything a call needs is taken at once or not at all. A call that fails or is cancelled gives
    back what it took; of all others no more are let in, over any stretch of time, than
    `rate * time + burst`. Calls wait in the order they came; a large one is not overtaken for ever
    by small ones; a call that is cancelled while it waits leaves nothing behind. Tokens are
    estimated before the call and put right by the usage that the answer reports.

    Args:
        requests: Calls: `"500/min"`, or several rates that hold together: `["60/min", "1000/day"]`.
        tokens: Input and output tokens together, such as `"90_000/min"`.
        input_tokens: Tokens of prompts.
        output_tokens: Tokens of answers.
        concurrency: Calls at once.
        burst: Requests at once after a rest; the whole allowance of a rate by default.
        cost: What one call counts as, instead of one request or an estimate of its tokens: a
            callable over the call's arguments, or the name of a parameter. A number, or a `Usage`.
        by: Keep a limit for each value: names of parameters, a template, or a callable over the
            call's arguments; `"scope.tenant"`, `"scope.user"` and `"scope.session"` are whom
            `agentperf.scope` names. The 1,024 values used last are remembered.
        on_limit: `"wait"` for one's turn, or `"raise"` at once.
        max_wait: How long to wait at most. Who would have to wait longer for a rate is refused at
            once, who waits for a place of `concurrency` when the time is up.
        store: Where the rates are kept for several processes: `"redis://localhost:6379"` (with the
            plugin agentperf-redis), `"sqlite:PATH"` for the processes of one machine, or a store.
            The limit needs a `name` then, which all of them know it by. Every call asks it.
        on_store_failure: What to do while the store fails: `"local"` keeps the limit for this
            process alone, `"open"` lets every call in, `"closed"` raises `StoreUnavailable`.
        oversize: What becomes of a call larger than a whole burst, which could never fit:
            `"error"` refuses it, `"borrow"` lets it run when the burst is full and leaves a debt
            that later calls wait for, `"clamp"` reserves as much as can ever fit.
        learn: What to learn the upstream's own limits from. `"errors"`: calls that it refused,
            with a 429; all calls of the key pause for as long as it asks, and then go slower for
            a while. `"replies"`: also the headers of answers that have some, or that instrumented
            clients inside of the function get, and no more is left then than they say. None:
            nothing. With a `store`, what one process learned holds for all of them.
        priority: Who goes first of those who wait: the name of a parameter, or a callable over the
            call's arguments. A number from -10 to 10, higher ones first; each step counts as if the
            call had come ten seconds earlier, so nobody is overtaken for ever. Asked at every
            call, also where none waits.
        name: Share one limit among all policies that name it.
        enabled: False, or a callable that says False at a call, lets calls pass.
        **unknown: Refused, with what was probably meant.

    Example:
        limit = agentperf.rate_limited("500/min", tokens="90_000/min")

        @limit
        async def complete(messages: list[dict[str, str]]) -> str: ...

    Raises:
        ConfigurationError: An option is malformed, contradicts another, or names no parameter.
        StoreUnavailable: At a call, the store fails, and `on_store_failure="closed"`.
        RateLimitExceeded: At a call, its turn does not come in time.
        RequestTooLarge: At a call, it could never fit, with `oversize="error"`.
    """
    refuse_unknown(rate_limited, unknown)
    if is_decorated_bare(requests):
        raise ConfigurationError('rate_limited needs a limit: @rate_limited("500/min")')
    limits = Limits(
        (
            rates(requests, "requests"),
            rates(tokens, "tokens"),
            rates(input_tokens, "input_tokens"),
            rates(output_tokens, "output_tokens"),
        ),
        None if concurrency is None else whole("concurrency", concurrency, 8),
        None if burst is None else whole("burst", burst, 8),
    )
    if not any(limits.rates) and concurrency is None:
        raise ConfigurationError(
            'rate_limited needs a limit: rate_limited("500/min"), '
            'rate_limited(tokens="90_000/min") or rate_limited(concurrency=8)'
        )
    if burst is not None and not limits.rates[0]:
        raise ConfigurationError('burst= goes with requests: rate_limited("500/min", burst=20)')
    _check_choices(on_limit, oversize, learn)
    goes_with_store(store, on_store_failure, _WITH_STORE)
    if store is not None:
        _check_store(store, name, concurrency)
    if priority is not None:
        from agentperf._engine.priority import checked_priority

        priority = checked_priority(priority)
    if callable(cost):
        refuse_async("cost", cost, "cost=lambda prompt, **_: len(prompt) // 4")
    if cost is not None and not callable(cost) and not isinstance(cost, str):
        raise ConfigurationError(
            f"cost={cost!r}: the name of a parameter, or a callable such as "
            "cost=lambda prompt, **_: len(prompt) // 4"
        )
    return RateLimited(
        limits,
        by=checked_by(by),
        cost=cost,
        max_wait=seconds(max_wait, "max_wait", zero=True) if on_limit == "wait" else 0.0,
        store=store,
        on_store_failure=on_store_failure,
        oversize=oversize,
        learn=learn,
        priority=priority,
        name=name,
        enabled=enabled,
    )


def _check_choices(on_limit: OnLimit, oversize: Oversize, learn: Learn | None) -> None:
    if on_limit not in ("wait", "raise"):
        raise ConfigurationError(f'on_limit={on_limit!r}: "wait" or "raise"')
    if oversize not in ("error", "borrow", "clamp"):
        raise ConfigurationError(f'oversize={oversize!r}: "error", "borrow" or "clamp"')
    if learn not in ("errors", "replies", None):
        raise ConfigurationError(f'learn={learn!r}: "errors", "replies" or None')


_WITH_STORE = 'rate_limited("500/min", store="redis://localhost:6379", name="search")'


def _check_store(store: object, name: str | None, concurrency: int | None) -> None:
    from agentperf._engine.stores import check_store

    check_store(store, name, "limit", _WITH_STORE)
    if concurrency is not None:
        raise ConfigurationError(
            "concurrency= counts the calls of one process and can't go with store=: share places "
            f'above it, @bulkhead({concurrency}, store=..., name="{name}") on @{_WITH_STORE}, '
            f"or put a limiter of its own below, @rate_limited(concurrency={concurrency})"
        )
