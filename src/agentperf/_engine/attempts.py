"""The budgets of extra attempts: retries, and hedges, which draw on those of the retries too."""

from __future__ import annotations

import threading
import weakref

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target


class Budget:
    """Bounds extra attempts to a share of calls, so that they can't multiply the load upstream.

    Every call that succeeds earns `share` of an attempt, every extra one spends one; `reserve` of
    them are at hand at the start and saved at most. (After the retry throttling of gRPC, proposal
    A6.)
    """

    reserve = 10.0

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._left = self.reserve
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Note a call that succeeded."""
        if self._left < self.reserve and self._share:
            with self._lock:
                self._left = min(self.reserve, self._left + self._share)

    def spend(self) -> bool:
        """Take an attempt out of the budget; False when there is none left."""
        if self._share is None:
            return True
        with self._lock:
            if self._left < 1 or not self._share:
                return False
            self._left -= 1
            return True

    def give_back(self) -> None:
        """Note that an attempt that was taken is not made."""
        if self._share is not None:
            with self._lock:
                self._left = min(self.reserve, self._left + 1)

    @property
    def left(self) -> float:
        """How many attempts are left now."""
        return self._left


class AttemptBudgets:
    """The budgets that the retries of one function have, for whoever makes extra attempts too."""

    def __init__(self) -> None:
        self._budgets: weakref.WeakSet[Budget] = weakref.WeakSet()

    def add(self, budget: Budget) -> None:
        """Have others draw on this budget too."""
        self._budgets.add(budget)

    def spend(self, own: Budget) -> bool:
        """Take an attempt out of one's own budget and all of these; False where one has none."""
        taken: list[Budget] = []
        for budget in (own, *self._budgets):
            if not budget.spend():
                for other in taken:
                    other.give_back()
                return False
            taken.append(budget)
        return True


def attempt_budgets(host: Host, target: Target) -> AttemptBudgets:
    """Return the budgets of the retries on a function, on `host`."""
    return host.state(AttemptBudgets, AttemptBudgets, owners=(target, AttemptBudgets))
