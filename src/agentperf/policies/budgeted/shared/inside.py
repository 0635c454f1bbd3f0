"""Lets calls of decorated functions in as far as budgets in stores allow."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from agentperf._base.endings import Ending
from agentperf._engine.frames import Frame, TabFrame
from agentperf._engine.streams import LIVE, AnyLiveStream, TurnedAsync
from agentperf.errors import BudgetExceeded, StoreUnavailable
from agentperf.policies.budgeted.core import NOTHING, Call, Ledger, Tab
from agentperf.policies.budgeted.shared.gate import admitted, pay, pay_aside

if TYPE_CHECKING:
    from agentperf.policies.budgeted.layer import Args, InsideLayer, Kwargs


class StoreGate:
    """Around one function: asks before a call begins, and tells when it has ended.

    Args:
        layer: Where the function is.
    """

    def __init__(self, layer: InsideLayer) -> None:
        self._layer = layer
        self._driver = layer.site.driver
        self._is_async = layer.site.driver.is_async
        self._waiting = layer.site.waiting if self._is_async else None

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
        try:
            value = await proceed(args, kwargs, (call, TabFrame(frame, Tab(ledger, call))))
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
        need = self._layer.need(args, kwargs) if tab.ledger.counts_spends else NOTHING
        try:
            return await admitted(tab, need, is_async=self._is_async)
        except (BudgetExceeded, StoreUnavailable) as error:
            raise self._layer.refused(error) from error.__cause__

    def _streamed(
        self, ledger: Ledger, stream: AnyLiveStream, ending: Ending, error: BaseException | None
    ) -> None:
        # An abandoned one is found in the midst of anything: the next question takes it along.
        if ending is not Ending.ABANDONED:
            pay_aside(ledger, self._waiting)
