"""Makes attempts beside a slow one, and takes the answer that comes first."""

from __future__ import annotations

from functools import partial
from typing import Any

from agentperf._engine.attempts import AttemptBudgets, Budget
from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf.events import HedgeEnded, HedgeSkipped, HedgeStarted
from agentperf.policies.hedged.core import Pace, Tally
from agentperf.policies.hedged.options import HedgeOptions
from agentperf.policies.hedged.race import Race

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class Hedges:
    """What hedging on one function remembers, on one host."""

    def __init__(self, options: HedgeOptions) -> None:
        self.pace = Pace(options)
        self.budget = Budget(options.budget)
        self.tally = Tally()


class HedgeLayer:
    """Hedges on one function, on one host."""

    def __init__(
        self, site: Site, options: HedgeOptions, hedges: Hedges, others: AttemptBudgets
    ) -> None:
        self._site = site
        self._options = options
        self._pace = hedges.pace
        self._budget = hedges.budget
        self._tally = hedges.tally
        self._others = others
        self._now = site.host.clock.now
        self._tell_started = site.host.bus.emitter(HedgeStarted)
        self._tell_ended = site.host.bus.emitter(HedgeEnded)
        self._tell_skipped = site.host.bus.emitter(HedgeSkipped)

    def bound(self, inner: Step) -> Step:
        """Put the hedges around `inner`."""
        return self._site.driver.flow(self._hedged, inner)

    async def _hedged(self, proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
        began = self._now()
        delay = self._pace.delay()
        if delay is None or self._pace.rests(began):
            value = await proceed(args, kwargs)
            self._pace.took(self._now() - began)
            self._budget.earn()
            return value
        if not self._budget.under_way.extra:
            return await self._raced(proceed, args, kwargs, began, delay)
        with self._budget.under_way.call():
            return await self._raced(proceed, args, kwargs, began, delay)

    async def _raced(
        self, proceed: Proceed, args: Args, kwargs: Kwargs, began: float, delay: float
    ) -> Any:
        race = Race(partial(proceed, args, kwargs), self._site.host.clock, self._site.waiting)
        taken: list[Budget] = []
        try:
            value = await race.run(delay, partial(self._is_due, began, delay, taken))
        except Exception:
            self._settle(race, self._now() - began)
            raise
        finally:  # one that was cancelled teaches nothing
            for budget in taken:
                budget.over()
        self._settle(race, self._now() - began)
        return value

    def _is_due(self, began: float, delay: float, taken: list[Budget], number: int) -> float | None:
        """Take another attempt out of the budgets; return when the next one is due, or None."""
        if number > self._options.extra:
            return None
        spent = self._others.spend(self._budget)
        if isinstance(spent, str):
            self._tally.refused()
            self._say_skipped(spent)
            return None
        taken.extend(spent)
        if self._tell_started is not None:
            after = self._now() - began
            self._tell_started(
                HedgeStarted(operation=self._site.operation, attempt=number + 1, after=after)
            )
        return delay

    def _settle(self, race: Race, seconds: float) -> None:
        """Learn from a call that has ended."""
        if race.winner is not None:
            self._budget.earn()
            if 0 not in race.errors:
                self._pace.took(seconds)
        if not race.was_hedged:
            return
        hedge_won = bool(race.winner)
        self._tally.ended(won=hedge_won)
        if self._pace.ended(self._now(), won=hedge_won):
            self._say_skipped("seldom")
        if self._tell_ended is not None:
            self._tell_ended(
                HedgeEnded(
                    operation=self._site.operation,
                    attempt=None if race.winner is None else race.winner + 1,
                    attempts=race.attempts,
                    seconds=seconds,
                    saved=self._pace.saved(seconds) if hedge_won else 0.0,
                )
            )

    def _say_skipped(self, reason: str) -> None:
        if self._tell_skipped is not None:
            self._tell_skipped(HedgeSkipped(operation=self._site.operation, reason=reason))
