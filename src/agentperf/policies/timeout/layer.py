"""A timeout at work: gives each step of a call the time that it may take."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.overtime import Overtime
from agentperf._engine.site import Site
from agentperf._engine.streams import LIVE
from agentperf._engine.waiting import seconds_left
from agentperf.abc.waiting import Lane
from agentperf.errors import CallTimeout
from agentperf.policies.timeout.client import ClientTimeout
from agentperf.policies.timeout.core import Limits, Progress
from agentperf.policies.timeout.stream import Fetched, paced

Args = tuple[Any, ...]
Kwargs = dict[str, Any]


class TimeoutLayer:
    """A timeout around one function, on one host."""

    def __init__(self, site: Site, limits: Limits, name: str) -> None:
        self._site = site
        self._limits = limits
        self._name = name
        self._now = site.host.clock.now
        self._overtime = Overtime(site)
        # A function that has such a parameter says with it whether its call gives a stream.
        self._has_to_be_asked = "stream" in site.target.signature.parameters

    def bound(self, inner: Step) -> Step:
        """Put the limits around `inner`."""
        return self._site.driver.flow(self._call, inner)

    def telling(self, arg: str, inner: Step) -> Step:
        """Have the client of `inner` keep the time that is left, which it takes as `arg`."""
        site, total, now = self._site, self._limits.total or math.inf, self._now
        client = ClientTimeout(site.target.signature, arg)

        def step(args: Args, kwargs: Kwargs) -> Any:
            left = seconds_left(now())
            seconds = total if left is None else min(total, left)
            value = inner(*client.bounded(seconds, args, kwargs))
            return site.driver.recognised(value, kwargs)

        return step

    async def _call(self, proceed: Proceed, args: Args, kwargs: Kwargs) -> Any:
        lane, progress = self._site.waiting.lane(), Progress(self._limits)
        streams = self._streams(kwargs)
        try:
            value = await self._step(
                lane, progress, partial(proceed, args, kwargs), streams=streams
            )
        except BaseException:
            lane.leave()
            raise
        if type(value) not in LIVE:
            lane.leave()
            return value
        progress.given = value.primed
        stream = paced(value, partial(self._item, lane, progress), lane, self._now)
        stream.watch(end=lambda *_: lane.leave())
        return stream

    def _streams(self, kwargs: Kwargs) -> bool:
        if self._site.target.shape.streams or not self._has_to_be_asked:
            return True
        return kwargs.get("stream") is True

    async def _item(
        self, lane: Lane, progress: Progress, fetch: Callable[[], Awaitable[Fetched]]
    ) -> Fetched:
        fetched: Fetched = await self._step(lane, progress, fetch, streams=True)
        progress.given = True
        return fetched

    async def _step(
        self, lane: Lane, progress: Progress, work: Callable[[], Awaitable[Any]], *, streams: bool
    ) -> Any:
        """Do a part of the call within the time that is left for it."""
        seconds, limit = progress.bound(streams=streams)
        late: list[CallTimeout] = []

        def error() -> CallTimeout:
            late.append(self._error(limit))
            return late[0]

        began = self._now()
        try:
            return await lane.within(seconds, work, error)
        except CallTimeout as raised:
            if raised in late:
                self._overtime.told(raised)
            raise
        finally:
            progress.spent += self._now() - began

    def _error(self, limit: str) -> CallTimeout:
        seconds: float = getattr(self._limits, limit)
        return CallTimeout(
            f"{_WHAT[limit]} of {self._name!r} took longer than {limit}={seconds:g} s",
            policy="timeout",
            name=self._name,
            limit=limit,
            seconds=seconds,
        )


_WHAT = {"total": "a call", "first_item": "the first item", "gap": "an item"}
