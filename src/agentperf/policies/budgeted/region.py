"""A budget for a region of code, and what can be asked of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from agentperf._base.durations import Duration
from agentperf._base.options import OnFailure, refuse_unknown
from agentperf._engine.current import current_bindings, current_host
from agentperf._engine.frames import current_frame, leave
from agentperf.errors import ConfigurationError
from agentperf.events import BudgetEnded
from agentperf.policies.budgeted.core import Ledger
from agentperf.policies.budgeted.enforcing import mind_budgets
from agentperf.policies.budgeted.layer import account_of, open_ledger, tell_end
from agentperf.policies.budgeted.options import BudgetOptions, OnRepeat, checked
from agentperf.usage import Usage

if TYPE_CHECKING:
    from agentperf.abc.stores import AnyStore
    from agentperf.policies.budgeted.shared.handle import SharedBudget


_FOR_CALLS = (
    "budget(...) is for a region of code, as in `with budget(calls=2):`; for the calls of a "
    "function, each with a budget of its own, write @budgeted(calls=2)"
)


class Budget:
    """An open budget, or one that has ended; safe to ask from any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def name(self) -> str:
        """What it is called in errors and events."""
        return self._ledger.name

    @property
    def spent(self) -> Usage:
        """Tokens and money spent so far."""
        return self._ledger.spent()

    @property
    def calls(self) -> int:
        """How many calls were made so far."""
        return self._ledger.calls

    def by_operation(self) -> dict[str, Usage]:
        """Return what was spent so far, by the operation that spent it."""
        return self._ledger.usages()

    def remaining(self) -> dict[str, float]:
        """Return what is left, of each limit that it or a budget around it has.

        The keys are `usd`, `tokens`, `calls` and `seconds`. What calls under way are going to spend
        on their prompts is not left any more; less than nothing is what was spent too much. Of a
        budget in a store it is what this process knows, without asking there.
        """
        return self._ledger.remaining()

    @property
    def shared(self) -> SharedBudget:
        """The nearest budget in a store: this one, or one around it.

        Raises:
            ConfigurationError: There is none.
        """
        if not self._ledger.accounts:
            raise ConfigurationError(
                f"the budget {self.name!r} is in no store; open it as in budget(usd=20, "
                'store="redis://localhost:6379", name="team-a")'
            )
        from agentperf.policies.budgeted.shared.gate import accounts_of
        from agentperf.policies.budgeted.shared.handle import SharedBudget

        return SharedBudget(accounts_of(self._ledger)[-1])

    def __repr__(self) -> str:
        left = ", ".join(f"{value:g} {limit}" for limit, value in self.remaining().items())
        return f"<budget {self.name!r}: {left or 'nothing limited'}{' left' if left else ''}>"


class BudgetRegion:
    """A budget that is still to be opened, by `with`; made by `budget`."""

    def __init__(self, options: BudgetOptions, name: str) -> None:
        self._options = options
        self._name = name
        self._was_opened = False

    def __enter__(self) -> Budget:
        """Open the budget.

        Raises:
            ConfigurationError: It was opened before.
        """
        if self._was_opened:
            raise ConfigurationError(
                f"the budget {self._name!r} was opened already. For one budget over several parts, "
                "put a single `with` around all of them; for a budget each, make one for each, as "
                "in `with budget(calls=30):`"
            )
        self._was_opened = True
        mind_budgets(current_bindings())
        self._host = host = current_host()
        self._account = account_of(self._options, host, self._name)
        self._ledger, frame = open_ledger(
            self._options, self._name, host.clock.now, current_frame.get(), self._account
        )
        self._token = current_frame.set(frame)
        return Budget(self._ledger)

    def __exit__(self, *_: object) -> None:
        """Close it, and tell what was spent."""
        leave(self._token)
        if self._account is not None:
            self._account.pay_from_here()
        tell_end(self._host.bus.emitter(BudgetEnded), self._ledger, self._name)

    def __call__(self, function: object) -> NoReturn:
        """Refuse to decorate: calls of a function have a budget each, which is `budgeted`.

        Raises:
            ConfigurationError: Always.
        """
        raise ConfigurationError(_FOR_CALLS)

    def __repr__(self) -> str:
        return f"<budget {self._name!r}: {'opened' if self._was_opened else 'to be opened'}>"


def budget(
    limit: object = None,
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
    **unknown: object,
) -> BudgetRegion:
    """Open a budget for the decorated calls of a region, as `budgeted` does for those of a call.

    Without a limit it only adds up what is spent. Tasks started inside inherit it; so do threads
    that are given a copy of the context.

    A budget is opened once: `with` a second time needs another one.

    Args:
        limit: Refused: limits are given by name.
        usd: US dollars.
        tokens: Input and output tokens together.
        calls: Calls that have no such call inside.
        deadline: How long from now.
        max_repeats: How often the same function may be called with equal arguments.
        on_repeat: Whether one call more than that is refused, or only told.
        store: Where `usd`, `tokens` and `calls` are kept for all processes together that give the
            same `name`, as for `budgeted`: `"redis://localhost:6379"`, `"sqlite:PATH"` or a store.
        per: With a store: after how long nothing is spent again, such as `"1d"`.
        on_store_failure: `"local"`, `"open"` or `"closed"`, as for `budgeted`.
        name: What it is called in errors and events, `"budget"` by default; with a store, what it
            is shared by.
        **unknown: Refused, with what was probably meant.

    Example:
        with agentperf.budget(usd=0.50, calls=30, deadline="2m") as budget:
            answer = agent(task)
        print(budget.spent, budget.by_operation())

    Raises:
        ConfigurationError: An option is malformed or goes with nothing; or it is used as a
            decorator, which is `budgeted`.
        BudgetExceeded: At a call inside, it would break the budget.
        StoreUnavailable: At a call inside, the store fails, and `on_store_failure="closed"`.
        CallTimeout: At an asynchronous call inside, the deadline cut it off.
    """
    refuse_unknown(budget, unknown)
    if limit is not None:
        by_name = f"budget({limit!r}) takes its limits by name: budget(usd=0.50, calls=30)"
        raise ConfigurationError(_FOR_CALLS if callable(limit) else by_name)
    if name is not None and (not isinstance(name, str) or not name):
        raise ConfigurationError(f'name={name!r}: text is needed, such as name="nightly"')
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
    return BudgetRegion(options, name or "budget")
