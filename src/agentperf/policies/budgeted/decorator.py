"""The decorator `budgeted`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentperf._base.callables import is_decorated_bare
from agentperf._base.durations import Duration
from agentperf._base.options import OnFailure, refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.hosting import Host
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site
from agentperf.errors import ConfigurationError
from agentperf.policies.budgeted.enforcing import mind_budgets
from agentperf.policies.budgeted.layer import BudgetLayer, Open, account_of
from agentperf.policies.budgeted.options import BudgetOptions, OnRepeat, checked

if TYPE_CHECKING:
    from agentperf.abc.stores import AnyStore
    from agentperf.policies.budgeted.shared.gate import SharedAccount


@dataclass(frozen=True, eq=False)
class Budgeted(Policy):
    """Gives every call a budget of its own; made by `budgeted`."""

    kind = "budgeted"

    options: BudgetOptions

    def prepare(self, host: Host) -> None:
        """Have all calls on `host` mind budgets."""
        mind_budgets(host.bindings)

    def bind(self, site: Site, inner: Step) -> Step:
        """Open a budget around `inner`."""
        name, account = self.name or site.operation, self.account(site.host)
        layer = BudgetLayer(site, self.options, name, self.open(site.host), account)
        return layer.bound(inner)

    def open(self, host: Host) -> Open:
        """Return the budgets of the calls that run on `host`."""
        return host.state(Open, Open, owners=(self,))

    def account(self, host: Host) -> SharedAccount | None:
        """Return what the process knows of the budget in a store; None where there is none."""
        return account_of(self.options, host, self.name)


def budgeted(
    function: object = None,
    /,
    *,
    usd: float | None = None,
    tokens: int | None = None,
    calls: int | None = None,
    deadline: Duration | None = None,
    max_repeats: int | None = None,
    on_repeat: OnRepeat = "raise",
    store: str | AnyStore | None = None,
    per: Duration | None = None,
    on_store_failure: OnFailure = "local",
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Budgeted:
    """Give every call a budget that holds for all decorated calls within it, however deep.

    What is spent is what calls record (`agentperf.record`, instrumented clients); an answer from a
    cache spends nothing. A call that would begin when a limit is reached is refused instead. The
    budget goes along with the context: into tasks, and into threads that are given a copy of it. A
    budget inside of another can only narrow it; what is spent counts in both.

    Args:
        function: Refused: a budget needs a limit, by name.
        usd: US dollars.
        tokens: Input and output tokens together.
        calls: Calls of decorated functions and instrumented models that have no such call inside:
            whoever only calls others doesn't count. Attempts of `retry` count each.
        deadline: How long from the beginning. Asynchronous calls are cut off then, synchronous ones
            don't begin any more.
        max_repeats: How often the same function may be called with equal arguments.
        on_repeat: Whether one call more than that is refused (`"raise"`), or only told to
            subscribers of `CallRepeated` (`"tell"`).
        store: Where the budget is kept for several processes: `"redis://localhost:6379"` (with the
            plugin agentperf-redis), `"sqlite:PATH"` for the processes of one machine, or a store.
            All calls of all processes have one budget of `usd`, `tokens` and `calls` together then,
            and it needs a `name`, which all of them know it by. Every call within asks the store.
            `deadline` and `max_repeats` stay those of each call.
        per: With a store: after how long nothing is spent again, counted from the first spending,
            such as `"1d"`. Without it the budget lasts until it is reset, or nobody has asked for
            it in 30 days.
        on_store_failure: What to do while the store fails: `"local"` goes on with what the process
            last knew and what it spends itself, `"open"` lets every call in, `"closed"` raises
            `StoreUnavailable`. What was spent meanwhile is told to the store with the first call
            after that.
        name: What it is called in errors and events; the operation by default. With a store, what
            it is shared by.
        enabled: False, or a callable that says False at a call, opens no budget.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.budgeted(usd=0.50, calls=30, deadline="2m")
        async def agent(task: str) -> str: ...

    Raises:
        ConfigurationError: No limit is given, or one is malformed, or goes with nothing.
        BudgetExceeded: At a call within, it would break the budget.
        StoreUnavailable: At a call within, the store fails, and `on_store_failure="closed"`.
        CallTimeout: At a call, the deadline cut it off.
    """
    refuse_unknown(budgeted, unknown)
    if function is not None:
        given = "" if is_decorated_bare(function) else f"({function!r})"
        raise ConfigurationError(
            f"budgeted{given} needs a limit, by name: @budgeted(usd=0.50, calls=30)"
        )
    options = checked(
        usd=usd,
        tokens=tokens,
        calls=calls,
        deadline=deadline,
        max_repeats=max_repeats,
        on_repeat=on_repeat,
        store=store,
        name=name,
        per=per,
        on_store_failure=on_store_failure,
    )
    if options.limits_nothing:
        raise ConfigurationError(
            "budgeted needs a limit: budgeted(usd=0.50), budgeted(tokens=50_000), "
            'budgeted(calls=30), budgeted(deadline="2m") or budgeted(max_repeats=5)'
        )
    return Budgeted(options, name=name, enabled=enabled)
