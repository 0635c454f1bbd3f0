"""What can be asked of the budgets of a decorated function."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentperf._engine.hosting import Host
from agentperf.errors import ConfigurationError
from agentperf.policies.budgeted.decorator import Budgeted
from agentperf.policies.budgeted.region import Budget

if TYPE_CHECKING:
    from agentperf.policies.budgeted.shared.handle import SharedBudget


class BudgetHandle:
    """The budgets of one decorated function, on the host that was current at its making."""

    def __init__(self, host: Host, policy: Budgeted) -> None:
        self._host = host
        self._policy = policy

    def running(self) -> tuple[Budget, ...]:
        """Return the budgets of the calls that are under way in this process, the oldest first.

        Of a call that gave a stream it is under way until the stream has ended.
        """
        return tuple(Budget(ledger) for ledger in self._policy.open(self._host)())

    @property
    def shared(self) -> SharedBudget:
        """The budget that all processes have together.

        Raises:
            ConfigurationError: It is in no store: every call has a budget of its own.
        """
        account = self._policy.account(self._host)
        if account is None:
            raise ConfigurationError(
                "every call has a budget of its own, which running() tells of; one for all calls "
                'needs a store, as in budgeted(usd=20, store="redis://localhost:6379", '
                'name="team-a")'
            )
        from agentperf.policies.budgeted.shared.handle import SharedBudget

        return SharedBudget(account)

    def __repr__(self) -> str:
        where = "" if self._policy.options.shared is None else ", in a store"
        return f"<budget: {len(self.running())} calls under way{where}>"
