"""Invalidation by tags: in memory, and in every backend that a cache with tags is on."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from functools import partial

from agentperf._base.log import warn
from agentperf._engine.current import current_host
from agentperf._engine.hosting import Host
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.reaching import way_to
from agentperf._engine.waiting import in_one_go
from agentperf.abc.backends import Backends, backends
from agentperf.abc.waiting import Waiting
from agentperf.errors import BackendError, ConfigurationError
from agentperf.policies.cached.backed.reach import guard_of
from agentperf.policies.cached.decorator import TAGGED, tag_table
from agentperf.policies.cached.tags.naming import plain_tags
from agentperf.policies.cached.tags.owed import Owed, owed_to, replace

_FIELD = re.compile(r"\{[A-Za-z_][\w.]*\}")


def invalidate(*, tags: str | Iterable[str]) -> None:
    """Invalidate every answer that has one of these tags, whatever function it is of.

    That covers all caches of the current host in memory, and every backend that a function with
    tags in this process keeps its answers in, also for the other processes that use it. It takes
    one step per tag, however many answers there are. No call that begins after it returned gets an
    answer whose computation began before.

    Args:
        tags: One tag or several, as they are: no templates.

    Example:
        agentperf.invalidate(tags=f"profile:{profile_id}")

    Raises:
        ConfigurationError: These are no tags, or a backend has to be awaited (`ainvalidate`).
        BackendError: A backend failed; the others and the memory were done. This process makes up
            for it as soon as it works again, and takes nothing from it before.
    """
    host = current_host()
    in_one_go(Invalidation(host, None).of(_given(host, tags)))


async def ainvalidate(*, tags: str | Iterable[str]) -> None:
    """The same as `invalidate`, without holding up an event loop.

    Args:
        tags: One tag or several, as they are: no templates.

    Example:
        await agentperf.ainvalidate(tags=f"profile:{profile_id}")

    Raises:
        ConfigurationError: These are no tags.
        BackendError: As for `invalidate`.
    """
    host = current_host()
    waiting = LoopWaiting(host.clock)
    await Invalidation(host, waiting).of(_given(host, tags))


def _given(host: Host, tags: str | Iterable[str]) -> tuple[str, ...]:
    """Return the tags; tell once of a template, which would invalidate nothing."""
    given, table = plain_tags(tags), tag_table(host)
    if not table.told_of_template and any(_FIELD.search(tag) for tag in given):
        table.told_of_template = True
        # Not an error: an argument that holds braces may have been filled in. Not the tag: it too.
        advice = 'tags are taken as they are; put an f in front: tags=f"profile:{profile_id}"'
        warn("cache.tag_looks_like_template", advice=advice)
    return given


class Invalidation:
    """The way to everything on a host that has tags.

    Args:
        host: The host.
        waiting: How the caller waits; None for one that blocks.

    Raises:
        ConfigurationError: A backend has to be awaited, and the caller can't.
    """

    def __init__(self, host: Host, waiting: Waiting | None) -> None:
        self._table = tag_table(host)
        self._wall = host.clock.wall
        reached = _backends(host, self._table.backends.copy())
        if waiting is None and any(backend.sync is None for backend in reached):
            raise ConfigurationError(
                "the backend of a cache with tags has to be awaited: write await "
                'agentperf.ainvalidate(tags="profile:42"), decorate an async function with '
                "@agentperf.invalidates, or give a backend of both colours, "
                "backend=Backends(sync=..., asynchronous=...)"
            )
        self._ways = [(way_to(backend, waiting), owed_to(host, backend)) for backend in reached]
        self._guards = [guard_of(host, backend) for backend in reached]

    @property
    def in_memory(self) -> bool:
        """Whether there are no backends to be reached."""
        return not self._ways

    async def of(self, tags: tuple[str, ...]) -> None:
        """Invalidate tags; what a backend misses is made up for as soon as it works again.

        Raises:
            BackendError: A backend failed; the others and the memory were done.
        """
        failed: dict[Owed, Exception] = {}
        # A function that is cached in one place may call one that is cached in another, and be
        # computed from its old answer in between: by as many rounds as there are places, each is
        # done once more after all that it may depend on. A backend is asked also where it failed
        # before and calls leave it alone: entries that it still has would be good again later.
        for _ in self._ways:
            self._table.invalidate(tags)
            self._in_place_of_backends(tags)
            for ask, owed in self._ways:
                if owed in failed:
                    continue
                try:
                    await ask(partial(replace, tags, self._wall()))
                    if owed:
                        await owed.deliver(ask)
                except Exception as error:  # noqa: BLE001 - raised when the others are done
                    failed[owed] = error
                    owed.add(tags, error)
        self._table.invalidate(tags)
        self._in_place_of_backends(tags)
        for cause in failed.values():
            raise BackendError(f"the cache backend failed: {type(cause).__name__}") from cause

    def _in_place_of_backends(self, tags: tuple[str, ...]) -> None:
        for guard in self._guards:
            if (local := guard.local) is not None:
                replace(tags, self._wall(), local)

    async def quietly_of(self, tags: tuple[str, ...]) -> None:
        """Invalidate tags; where a backend fails, only the log tells."""
        with contextlib.suppress(BackendError):
            await self.of(tags)


def _backends(host: Host, used: Iterable[Backends]) -> list[Backends]:
    """Find the backends in use on a host, and those that other processes may have in use."""
    reached = dict.fromkeys(used)
    for reference in TAGGED.valuerefs():
        if (policy := reference()) is not None and not policy.options.in_memory:
            given = policy.options.backend
            backend = host.backend(given) if isinstance(given, str) else backends(given)
            if backend.shared:
                reached[backend] = None
    return list(reached)
