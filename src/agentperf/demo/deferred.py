"""Work that is put off until the answer is out."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import ParamSpec

from anyio import Event
from anyio.abc import TaskGroup

P = ParamSpec("P")

ANYTIME = ""
"""Stands for a profile where no answer builds on the step."""

_log = logging.getLogger(__name__)


class Deferred:
    """Runs steps in the background of a task group, and lets readers wait for what they build on.

    A step that fails is logged; the conversation goes on.
    """

    def __init__(self, background: TaskGroup) -> None:
        self._background = background
        self._under_way: dict[str, list[Event]] = {}

    def add(
        self, profile: str, step: Callable[P, Awaitable[object]], *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Begin a step; this profile's next answer builds on it."""
        done = Event()
        self._under_way.setdefault(profile, []).append(done)

        async def run() -> None:
            try:
                await step(*args, **kwargs)
            except Exception:  # noqa: BLE001 - it is logged, and the user has the answer already
                _log.exception("a deferred step failed: %r", step)
            finally:
                self._under_way[profile].remove(done)
                done.set()

        self._background.start_soon(run)

    async def settled(self, profile: str) -> None:
        """Wait until the steps begun for this profile have ended."""
        for done in tuple(self._under_way.get(profile, ())):
            await done.wait()
