"""Lets calls of decorated functions in as far as budgets in stores allow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from agentperf._base.endings import Ending
from agentperf._engine.frames import Frame, TabFrame
from agentperf._engine.site import Site
from agentperf._engine.streams import LIVE, AnyLiveStream, TurnedAsync
from agentperf.errors import BudgetExceeded, CallRejected, StoreUnavailable
from agentperf.policies.budgeted.core import NOTHING, Amount, Call, Ledger, Tab
from agentperf.policies.budgeted.shared.gate import admitted, pay, pay_aside

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class StoreGate:
    """Around one function: asks before a call begins, and tells when it has ended.

    Args:
        site: Where the function is.
        need: Tells what a call is going to spend at least.
        refused: Tells of a refusal, and returns its error.
    """

    def __init__(
        self,
        site: Site,
        need: Callable[[Args, Kwargs], Amount],
        refused: Callable[[CallRejected], CallRejected],
    ) -> None:
        self._need = need
        self._refused = refused
        self._operation = site.operation
        self._driver = site.driver
        self._is_async = site.driver.is_async
        self._waiting = site.waiting if self._is_async else None

    def around(self, run: Callable[..., Any]) -> Callable[..., Any]:
        """Make `step(tab, frame, args, kwargs)` of `run(args, kwargs, ticket)`."""
        return self._driver.flow(self._made, run)

    async def _made(
        self,
        proceed: Callable[..., Any],
        tab: Tab,
        frame: Frame | None,
        args: Args,
        kwargs: Kwargs,
    ) -> Any:
        call, ledger = await self._admitted(tab, args, kwargs), tab.ledger
        tab_in = Tab(ledger, call, self._operation)
        try:
            value = await proceed(args, kwargs, (call, TabFrame(frame, tab_in)))
        except TurnedAsync:
            call.take_back()  # it is made again, as the asynchronous call it is
            raise
        except Exception:
            await pay(ledger, is_async=self._is_async)
            raise
        except BaseException:
            pay_aside(ledger, self._waiting)
            raise
        if type(value) in LIVE:
            value.watch(end=partial(self._streamed, ledger))
        else:
            await pay(ledger, is_async=self._is_async)
        return value

    async def _admitted(self, tab: Tab, args: Args, kwargs: Kwargs) -> Call:
        need = self._need(args, kwargs) if tab.ledger.counts_spends else NOTHING
        try:
            return await admitted(tab, need, is_async=self._is_async)
        except (BudgetExceeded, StoreUnavailable) as error:
            raise self._refused(error) from error.__cause__

    def _streamed(
        self, ledger: Ledger, stream: AnyLiveStream, ending: Ending, error: BaseException | None
    ) -> None:
        # An abandoned one is found in the midst of anything: the next question takes it along.
        if ending is not Ending.ABANDONED:
            pay_aside(ledger, self._waiting)
