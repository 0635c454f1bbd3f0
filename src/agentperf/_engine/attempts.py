"""The budgets of extra attempts: retries, and hedges, which draw on those of the retries too."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from typing import Literal

from agentperf._engine.hosting import Host
from agentperf._engine.site import Target
from agentperf._engine.under_way import UnderWay

Lack = Literal["budget", "in_flight"]
"""Why there is to be no extra attempt: too many lately, or too many at this moment."""


class Budget:
    """Bounds extra attempts to a share of calls, so that they can't multiply the load upstream.

    Every call that succeeds earns `share` of an attempt, every extra one spends one; `reserve` of
    them are at hand at the start and saved at most. (After the retry throttling of gRPC, proposal
    A6.) At any moment, too, no more than that share of the calls under way have an extra attempt,
    or `reserve` of them where that is more: else slow ones would pile up while quick calls earn.
    """

    reserve = 10.0

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._left = self.reserve
        self._lock = threading.Lock()
        self.under_way = UnderWay()

    def earn(self) -> None:
        """Note a call that succeeded."""
        if self._left < self.reserve and self._share:
            with self._lock:
                self._left = min(self.reserve, self._left + self._share)

    def spend(self) -> Lack | None:
        """Take an attempt out of the budget, until it is `over`; tell what is lacking if it can't.

        None says that it was taken.
        """
        if self._share is None:
            return None
        with self._lock:
            if self._left < 1 or not self._share:
                return "budget"
            flight = self.under_way
            if len(flight.extra) >= max(self.reserve, self._share * len(flight.calls)):
                return "in_flight"
            self._left -= 1
            flight.extra.append(None)
            return None

    def over(self) -> None:
        """Note that an attempt that was taken has ended."""
        if self._share is not None:
            self.under_way.extra.pop()

    def give_back(self) -> None:
        """Note that an attempt that was taken is not made."""
        if self._share is not None:
            self.over()
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

    def spend(self, own: Budget) -> Sequence[Budget] | Lack:
        """Take an attempt out of one's own budget and all of these, or out of none.

        Returns:
            Those that are to be told when it is over; else what is lacking.
        """
        taken: list[Budget] = []
        for budget in (own, *self._budgets):
            if (lack := budget.spend()) is not None:
                for other in taken:
                    other.give_back()
                return lack
            taken.append(budget)
        return tuple(taken)


def attempt_budgets(host: Host, target: Target) -> AttemptBudgets:
    """Return the budgets of the retries on a function, on `host`."""
    return host.state(AttemptBudgets, AttemptBudgets, owners=(target, AttemptBudgets))
