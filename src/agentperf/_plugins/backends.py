"""The backends that a host has open: one for each text that asks for one."""

from __future__ import annotations

import contextlib
import threading
import weakref
from functools import partial
from typing import TYPE_CHECKING

from agentperf._plugins.registry import Plugins, made
from agentperf.abc.backends import AsyncCacheBackend, Backends, CacheBackend, backends
from agentperf.abc.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class OpenBackends:
    """Opens cache backends when they are first asked for, and closes them with the host.

    Args:
        plugins: Who makes them.
    """

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._open: dict[str, Backends] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._open)

    def __call__(self, text: str) -> Backends:
        """Return the backend for a text such as `"example"` or `"example:/var/cache"`.

        In `"memory+example:/var/cache"` the one behind the memory is that of the text after the +.

        Raises:
            ConfigurationError: What stands before a + is malformed.
            PluginError: Nobody offers it, two plugins do, or it can't be made.
        """
        if (known := self._open.get(text)) is None:
            make = self._way_to_make(text)
            with self._lock:
                if (known := self._open.get(text)) is None:
                    known = self._open[text] = make()
        return known

    def _way_to_make(self, text: str) -> Callable[[], Backends]:
        if text.startswith("memory") and "+" in text:
            from agentperf.policies.cached.tiered import TieredAddress  # few have two tiers

            if (address := TieredAddress.read(text)) is not None:
                return partial(address.over, self(address.far))
        offer = self._plugins.find(Kind.CACHE_BACKENDS, text.partition(":")[0])
        fitting = (CacheBackend, AsyncCacheBackend, Backends)
        return lambda: backends(made(offer, fitting, text))

    def abandon(self) -> None:
        """Forget what is open without closing it: after a fork it belongs to the parent too."""
        self._open.clear()
        self._lock = threading.Lock()


def _close(opened: Mapping[str, Backends]) -> None:
    """Close what blocks; what is awaited belongs to event loops that are gone by now."""
    for backend in opened.values():
        if backend.sync is not None:
            with contextlib.suppress(Exception):  # the interpreter may be ending
                backend.sync.close()
