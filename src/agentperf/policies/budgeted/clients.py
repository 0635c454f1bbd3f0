"""Lets model calls of instrumented clients in as far as the budgets around them allow."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agentperf._engine.current import current_host
from agentperf._engine.frames import current_frame
from agentperf.errors import BudgetExceeded
from agentperf.events import CallRefused
from agentperf.policies.budgeted.core import NOTHING
from agentperf.policies.budgeted.layer import need_of, tab_of


def admit_model_call(
    operation: str, model: str | None, prompts: Iterable[object]
) -> Callable[[], None] | None:
    """Let a model call in.

    Returns:
        What is to be called when it has ended; None outside of any budget.

    Raises:
        BudgetExceeded: It would break a budget.
    """
    tab = tab_of(current_frame.get())
    if tab is None:
        return None
    try:
        tab.ledger.check_deadline()
        need = need_of(model, prompts) if tab.ledger.counts_spends else NOTHING
        return tab.ledger.admit(tab.call, need).ended
    except BudgetExceeded as error:
        if (tell := current_host().bus.emitter(CallRefused)) is not None:
            tell(CallRefused(operation=operation, policy="budgeted", name=error.policy_name))
        raise
