"""Everything that plugins do on one host."""

from __future__ import annotations

from collections.abc import Callable

from agentperf._plugins.backends import OpenBackends
from agentperf._plugins.offering import Offered
from agentperf._plugins.registry import Plugins
from agentperf._plugins.running import Running, Start
from agentperf._plugins.stores import OpenStores
from agentperf.abc.exporters import Exporter
from agentperf.abc.extensions import Subscriber
from agentperf.abc.kinds import Kind
from agentperf.config import Settings


class Extensions:
    """The plugins of one host, and what was made of their offers.

    Attributes:
        plugins: The plugins themselves.
        backend: Gives the cache backend for a text.
        store: Gives the store for a text.
        offered: Gives tokenizers and prices.

    Args:
        export: Starts an exporter.
        subscribe: Subscribes a receiver of events.
    """

    def __init__(self, export: Start, subscribe: Callable[..., Callable[[], object]]) -> None:
        def start(subscriber: Subscriber) -> Callable[[], object]:
            return subscribe(subscriber.receive, *subscriber.kinds)

        self.plugins = Plugins()
        self.backend = OpenBackends(self.plugins)
        self.store = OpenStores(self.plugins)
        self.offered = Offered(self.plugins)
        self._exporters = Running(self.plugins, Kind.EXPORTERS, Exporter, export)
        self._subscribers = Running(self.plugins, Kind.SUBSCRIBERS, Subscriber, start)

    def follow(self, settings: Settings, *, strictly: bool) -> None:
        """Run the exporters and subscribers that the settings name, and no others.

        Raises:
            ConfigurationError: One can't be started, and `strictly` is set.
        """
        steps = (
            self._exporters.prepared(settings.exporters, strictly=strictly),
            self._subscribers.prepared(settings.subscribers, strictly=strictly),
        )
        for step in steps:  # all is made: from here on nothing is refused
            step()

    def begin_anew(self, settings: Settings) -> None:
        """Begin again in a forked child: exporters go on by themselves, subscribers don't."""
        self.plugins.begin_anew()
        self.backend.abandon()
        self.store.abandon()
        self._subscribers.forget()
        self._subscribers.prepared(settings.subscribers, strictly=False)()
