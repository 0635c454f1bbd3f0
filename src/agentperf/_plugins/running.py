"""Exporters and subscribers of plugins that the settings of a host switch on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from agentperf._base.log import fault
from agentperf._plugins.registry import Plugins, made
from agentperf.abc.kinds import Kind
from agentperf.errors import ConfigurationError

Start = Callable[[Any], Callable[[], object]]
"""Puts what a plugin made to work; gives what ends that."""


class Running:
    """What runs of one kind, by name.

    Args:
        plugins: Who makes it.
        kind: The kind.
        fitting: The class of what is made.
        start: Puts it to work.
    """

    def __init__(self, plugins: Plugins, kind: Kind, fitting: type, start: Start) -> None:
        self._plugins = plugins
        self._kind = kind
        self._fitting = fitting
        self._start = start
        self._stops: dict[str, Callable[[], object]] = {}

    def prepared(self, names: Iterable[str], *, strictly: bool) -> Callable[[], None]:
        """Make what is wanted and doesn't run yet; nothing is started or ended before the call.

        Args:
            names: What is wanted.
            strictly: Whether to raise for what can't be made; else it is logged and left out.

        Returns:
            What starts it, and ends what is no longer wanted.

        Raises:
            ConfigurationError: Something can't be made.
        """
        wanted = dict.fromkeys(names)
        fresh = {name: self._made(name, strictly=strictly) for name in wanted if name not in self}

        def follow() -> None:
            for name in [name for name in self._stops if name not in wanted]:
                self._stops.pop(name)()
            for name, thing in fresh.items():
                if thing is not None:
                    self._stops[name] = self._start(thing)

        return follow

    def _made(self, name: str, *, strictly: bool) -> Any:
        try:
            return made(self._plugins.find(self._kind, name), self._fitting)
        except ConfigurationError as error:
            if strictly:
                raise
            fault("plugin.not_started", error, what=self._kind.singular, wanted=name)
            return None

    def __contains__(self, name: str) -> bool:
        return name in self._stops

    def forget(self) -> None:
        """Take nothing as running."""
        self._stops.clear()
