"""Ends work for which a policy has no more time, and tells of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from agentperf._engine.site import Site
from agentperf.errors import CallTimeout
from agentperf.events import CallTimedOut


class Overtime:
    """What bounds the calls of one function by a policy's time, on one host."""

    def __init__(self, site: Site) -> None:
        self._operation = site.operation
        self._waiting = site.waiting
        self._tell = site.host.bus.emitter(CallTimedOut)

    async def bounded(
        self, seconds: float, work: Callable[[], Awaitable[Any]], late: Callable[[], CallTimeout]
    ) -> Any:
        """Run `work` for `seconds` at most.

        Raises:
            CallTimeout: What `late` makes; the time is up, which has been told.
        """
        made: list[CallTimeout] = []

        def noted() -> CallTimeout:
            made.append(late())
            return made[-1]

        try:
            return await self._waiting.bounded(seconds, work, noted)
        except CallTimeout as error:
            if error in made:
                self.told(error)
            raise

    def told(self, error: CallTimeout) -> CallTimeout:
        """Tell that the time is up, and return the error that says so."""
        if self._tell is not None:
            self._tell(
                CallTimedOut(
                    operation=self._operation,
                    name=error.policy_name,
                    limit=error.limit,
                    seconds=error.seconds or 0.0,
                )
            )
        return error
