"""The backends that a host has open: one for each text that asks for one."""

from __future__ import annotations

import contextlib
import threading
import weakref
from typing import TYPE_CHECKING

from agentperf._plugins.registry import Plugins, made
from agentperf.abc.backends import AsyncCacheBackend, Backends, CacheBackend, backends
from agentperf.abc.kinds import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping


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

        Raises:
            PluginError: Nobody offers it, two plugins do, or it can't be made.
        """
        if (known := self._open.get(text)) is None:
            offer = self._plugins.find(Kind.CACHE_BACKENDS, text.partition(":")[0])
            with self._lock:
                if (known := self._open.get(text)) is None:
                    fitting = (CacheBackend, AsyncCacheBackend, Backends)
                    known = self._open[text] = backends(made(offer, fitting, text))
        return known

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
