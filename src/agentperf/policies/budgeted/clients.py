"""Lets model calls of instrumented clients in as far as the budgets around them allow."""

from __future__ import annotations

from collections.abc import Iterable

from agentperf._engine.current import current_host
from agentperf._engine.frames import current_frame
from agentperf.errors import BudgetExceeded, StoreUnavailable
from agentperf.events import CallRefused
from agentperf.policies.budgeted.core import NOTHING, Call
from agentperf.policies.budgeted.layer import need_of, tab_of


class AdmittedCall:
    """A model call that was let in.

    Args:
        call: What the budgets know it as.
        is_async: Whether it is awaited.
    """

    def __init__(self, call: Call, *, is_async: bool) -> None:
        self._call = call
        self._is_async = is_async

    async def ended(self) -> None:
        """Take note of its end."""
        self._call.ended()
        if self._call.ledger.accounts:
            from agentperf.policies.budgeted.shared.gate import pay

            await pay(self._call.ledger, is_async=self._is_async)


async def admit_model_call(
    operation: str, model: str | None, prompts: Iterable[object], *, is_async: bool
) -> AdmittedCall | None:
    """Let a model call in; for one that isn't awaited, it never suspends.

    Returns:
        What is to be told when it has ended; None outside of any budget.

    Raises:
        BudgetExceeded: It would break a budget.
        StoreUnavailable: The store of a budget fails, and that is not to be passed over.
    """
    tab = tab_of(current_frame.get())
    if tab is None:
        return None
    try:
        tab.ledger.check_deadline()
        need = need_of(model, prompts) if tab.ledger.counts_spends else NOTHING
        if not tab.ledger.accounts:
            return AdmittedCall(tab.ledger.admit(tab.call, need), is_async=is_async)
        from agentperf.policies.budgeted.shared.gate import admitted

        return AdmittedCall(await admitted(tab, need, is_async=is_async), is_async=is_async)
    except (BudgetExceeded, StoreUnavailable) as error:
        if (tell := current_host().bus.emitter(CallRefused)) is not None:
            tell(
                CallRefused(
                    operation=operation,
                    policy="budgeted",
                    name=error.policy_name,
                    retry_after=error.retry_after,
                )
            )
        raise
