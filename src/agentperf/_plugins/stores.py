"""The stores of limits that a host has open: one for each text that asks for one."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Mapping

from agentperf._plugins.registry import Plugins, made
from agentperf.abc.kinds import Kind
from agentperf.abc.stores import AsyncStore, Store, Stores, stores


class OpenStores:
    """Opens stores when they are first asked for, and closes them with the host.

    Args:
        plugins: Who makes them.
    """

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._open: dict[str, Stores] = {}
        self._lock = threading.Lock()
        weakref.finalize(self, _close, self._open)

    def __call__(self, text: str) -> Stores:
        """Return the store for a text such as `"example"` or `"example://host"`.

        Raises:
            ConfigurationError: What stands after the name is malformed.
            PluginError: Nobody offers it, two plugins do, or it can't be made.
        """
        if (known := self._open.get(text)) is None:
            offer = self._plugins.find(Kind.STORES, text.partition(":")[0])
            with self._lock:
                if (known := self._open.get(text)) is None:
                    known = stores(made(offer, (Store, AsyncStore, Stores), text))
                    self._open[text] = known
        return known

    def abandon(self) -> None:
        """Forget what is open without closing it: after a fork it belongs to the parent too."""
        self._open.clear()
        self._lock = threading.Lock()


def _close(opened: Mapping[str, Stores]) -> None:
    """Close what blocks; what is awaited belongs to event loops that are gone by now."""
    for store in opened.values():
        if store.sync is not None:
            with contextlib.suppress(Exception):  # the interpreter may be ending
                store.sync.close()
