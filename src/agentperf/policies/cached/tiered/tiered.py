"""A memory in front of another backend, as an object and as text: `memory+redis://host`."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl

from agentperf._base.clock import Clock
from agentperf._base.durations import Duration, seconds
from agentperf._base.options import whole
from agentperf._base.sizes import Size, in_bytes
from agentperf._engine.loops import LoopWaiting
from agentperf.abc.backends import AnyBackend, AsyncCacheBackend, Backends, CacheBackend, backends
from agentperf.abc.watching import Watchable
from agentperf.errors import ConfigurationError
from agentperf.policies.cached.tiered.backends import AsyncTieredBackend, TieredBackend
from agentperf.policies.cached.tiered.following import Following
from agentperf.policies.cached.tiered.near import Near, NearStats

NEAR_TTL = 5.0
MAX_ENTRIES = 10_000
MAX_BYTES = 64_000_000

_EXAMPLE = '"memory?near_ttl=2s&max_bytes=64MB+redis://localhost:6379/0"'


class Tiered(Backends):
    """A backend with a memory in front of it, for `cached(backend=Tiered(...))`.

    What was read or stored a moment ago is given from memory. Where the far backend tells of
    changes (Redis does), what another process replaced or removed is given up within milliseconds.
    In any case no process gives what another one replaced or removed more than `near_ttl` ago. In
    this process, what was removed is not given any more once removing it has returned.

    Args:
        far: The backend behind it, such as an object of a class that extends
            `agentperf.abc.CacheBackend`. An address is given as text instead:
            `cached(backend="memory+redis://localhost:6379/0")`.
        near_ttl: For how long an entry is given from memory at most, after which the far backend is
            asked again; 5 seconds by default.
        max_entries: How many entries to keep in memory at most, of all caches on this backend;
            10,000 by default.
        max_bytes: How many bytes they may take, about; 64 MB by default.
        clock: Where time comes from; real time by default.

    Example:
        @agentperf.cached(ttl="1h", backend=agentperf.Tiered(MyBackend(), near_ttl="2s"))
        def answer(question: str) -> str: ...

    Raises:
        ConfigurationError: The far backend is none, or an option is malformed.
    """

    def __init__(
        self,
        far: AnyBackend,
        *,
        near_ttl: Duration = NEAR_TTL,
        max_entries: int = MAX_ENTRIES,
        max_bytes: Size = MAX_BYTES,
        clock: Clock | None = None,
    ) -> None:
        if isinstance(far, str):
            raise ConfigurationError(
                f"Tiered: the far backend is an object, such as Tiered(MyBackend()); an address "
                f"goes into backend= as text, such as backend={_EXAMPLE}"
            )
        if not isinstance(far, CacheBackend | AsyncCacheBackend | Backends):
            raise ConfigurationError(
                f"Tiered: {type(far).__name__} is no backend; give an object of a class that "
                "extends agentperf.abc.CacheBackend, such as Tiered(MyBackend())"
            )
        clock = clock or Clock()
        behind = backends(far)
        near = Near(
            clock.now,
            seconds(near_ttl, "near_ttl"),
            whole("max_entries", max_entries, MAX_ENTRIES),
            in_bytes(max_bytes, "max_bytes"),
        )
        following = Following(near, _what_tells(behind))
        sync = None
        if behind.sync is not None:
            same = AsyncTieredBackend(near, following, Backends(sync=behind.sync), None)
            sync = TieredBackend(same, behind.sync)
        # Also where the far one blocks: what is near then needs no worker thread on an event loop.
        waiting = LoopWaiting(clock)
        asynchronous = AsyncTieredBackend(near, following, behind, waiting)
        Backends.__init__(self, sync=sync, asynchronous=asynchronous)

    def near_stats(self) -> NearStats:
        """Return the figures of what is in memory."""
        return cast(AsyncTieredBackend, self.asynchronous).near.stats()


def _what_tells(far: Backends) -> Watchable | None:
    for one in (far.sync, far.asynchronous):
        if isinstance(one, Watchable):
            return one
    return None


class TieredAddress(NamedTuple):
    """What the user wrote of two tiers.

    Attributes:
        far: The address of the far backend.
        near_ttl: As for `Tiered`.
        max_entries: As for `Tiered`.
        max_bytes: As for `Tiered`.
    """

    far: str
    near_ttl: float = NEAR_TTL
    max_entries: int = MAX_ENTRIES
    max_bytes: int = MAX_BYTES

    @classmethod
    def read(cls, text: str) -> TieredAddress | None:
        """Read `memory?option=value+ADDRESS`; None where the text speaks of one tier.

        Raises:
            ConfigurationError: The far address is missing, or an option is unknown or malformed.
        """
        near, plus, far = text.partition("+")
        word, _, query = near.partition("?")
        if word != "memory" or not plus:
            return None
        if not far:
            raise ConfigurationError(
                f"backend={text!r}: after the + comes an address, as in {_EXAMPLE}"
            )
        if re.split(r"[:?+]", far, maxsplit=1)[0] == "memory":
            raise ConfigurationError(
                f"backend={near + '+memory'!r}: a memory before a memory keeps all twice; write "
                f'backend="memory", or another address after the +, as in {_EXAMPLE}'
            )
        options = dict(parse_qsl(query, keep_blank_values=True))
        for unknown in options.keys() - {"near_ttl", "max_entries", "max_bytes"}:
            raise ConfigurationError(
                f"backend={near + plus + '...'!r}: there is no option {unknown!r}, only near_ttl, "
                f"max_entries and max_bytes, as in {_EXAMPLE}"
            )
        near_ttl = options.get("near_ttl", NEAR_TTL)
        entries: Any = options.get("max_entries", MAX_ENTRIES)
        if str(entries).isdecimal():
            entries = int(entries)
        return cls(
            far,
            seconds(near_ttl, "near_ttl"),
            whole("max_entries", entries, MAX_ENTRIES),
            in_bytes(options.get("max_bytes", MAX_BYTES), "max_bytes"),
        )

    def over(self, far: Backends) -> Tiered:
        """Put the near tier in front of the far one."""
        return Tiered(
            far,
            near_ttl=self.near_ttl,
            max_entries=self.max_entries,
            max_bytes=self.max_bytes,
        )
