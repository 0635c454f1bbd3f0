"""The host: the one place where time, state, events, figures and settings come together."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

from agentperf._base.clock import Clock
from agentperf._base.offered import register_offered
from agentperf._base.options import whole
from agentperf._engine.bindings import Bindings
from agentperf._engine.bus import Bus, Receiver
from agentperf._engine.current import current_host, default_bindings
from agentperf._engine.site import Bindable, Target
from agentperf.abc.exporters import Exporter
from agentperf.config import Settings, load
from agentperf.errors import ConfigurationError
from agentperf.events import Event
from agentperf.telemetry import Aggregates, OperationStats, Recent

if TYPE_CHECKING:
    from agentperf._base.offered import Offered
    from agentperf._plugins import Extensions, Plugins
    from agentperf.abc.backends import Backends
    from agentperf.abc.stores import Stores
    from agentperf.policies.compose.configured import Configured
    from agentperf.telemetry.exporting import Exporting

T = TypeVar("T")


class Host:
    """A world of its own: its caches, counts, subscribers and settings are nobody else's.

    There is one by default for the process, made at the first decorated call. Make others for
    tests, or for parts of a program that must not share; `with agentperf.use(host):` makes one
    current.

    Args:
        clock: Where time comes from; real time by default.
        settings: What holds for the whole host; read from the environment and the configuration
            file by default.
        bindings: The bound pipelines to serve; a new set by default.

    Raises:
        ConfigurationError: The settings are wrong, or an argument is of another kind.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        settings: Settings | None = None,
        bindings: Bindings[Any] | None = None,
    ) -> None:
        self.clock = _given("clock", clock, Clock, "FakeClock()") or Clock()
        self.settings = _given("settings", settings, Settings, "Settings(enabled=False)") or load()
        self._configured = _configured(self.settings)
        self.bindings: Bindings[Any] = bindings or Bindings()
        self._extended: Extensions | None = None
        self._exports: list[Exporting] = []
        self.begin_anew()
        self.bindings.host = self
        _hosts.add(self)
        if self.settings.exporters or self.settings.subscribers:
            self._extensions.follow(self.settings, strictly=False)

    def begin_anew(self) -> None:
        """Start with nothing; also in a forked child, where threads that are gone hold locks.

        Only exports go on, with an empty queue and a thread of their own.
        """
        self.tap = Aggregates()
        self.bus = Bus(self.bindings.rebind)
        self.recent = Recent(self.bus.subscribe, self.clock.wall)
        self._states = _States()
        self._exports = [export for export in self._exports if not export.closed]
        for export in self._exports:
            export.listen(self.bus.subscribe)
        self._lock = threading.RLock()
        if self._extended is not None:
            self._extended.begin_anew(self.settings)
        self.bindings.rebind()

    def state(
        self,
        kind: type[T],
        make: Callable[[], T],
        *,
        owners: tuple[object, ...],
        name: str | None = None,
        options: object = None,
    ) -> T:
        """Return the state that `owners` share, made by `make` when it is not there yet.

        Without a name, state belongs to exactly these owners and goes with the first of them that
        goes. With a name, everybody who names it shares it.

        Raises:
            ConfigurationError: The name is in use with other options.
        """
        if name is None:
            return self._states.owned(owners, make)
        return self._states.named(kind, name, options, owners, make)

    def completed(self, target: Target, policies: tuple[Bindable, ...]) -> tuple[Bindable, ...]:
        """Return a function's policies with those that are configured for its operation.

        Raises:
            ConfigurationError: A configured policy can't serve the function.
        """
        if self._configured is None:
            return policies
        return self._configured.completed(target, policies)

    def subscribe(self, receiver: Receiver, *kinds: type[Event]) -> Callable[[], None]:
        """Call `receiver(event)` for every event of `kinds`, all of them where none is named.

        The receiver runs inside the call that caused the event and must be quick. What it raises is
        logged once and swallowed.

        Returns:
            A function that ends the subscription.

        Raises:
            ConfigurationError: The receiver can't be called, or a kind is no class of events.
        """
        return self.bus.subscribe(receiver, *kinds)

    def export(self, exporter: Exporter, *, capacity: int = 10_000) -> Exporting:
        """Hand every event that an exporter wants to it, in batches and off the path of the calls.

        No call waits for it: what doesn't fit the queue is dropped and counted. What is still in
        the queue when the interpreter ends is exported then. A forked child goes on exporting, from
        an empty queue.

        Args:
            exporter: Where the events go; `exporter.kinds` says which.
            capacity: How many events may wait.

        Returns:
            What tells how many events were exported and dropped, and ends it when called.

        Example:
            stop = host.export(MyExporter())
            ...
            stop()

        Raises:
            ConfigurationError: It is no exporter, wants what is no class of events, or `capacity`
                is no whole number from 1 up.
        """
        if not isinstance(exporter, Exporter):
            raise ConfigurationError(
                f"export({exporter!r}): an object of a class that extends agentperf.abc.Exporter "
                "is needed, such as export(MyExporter())"
            )
        from agentperf.telemetry.exporting import Exporting  # who exports nothing has no use for it

        export = Exporting(exporter, self.clock.wall, whole("capacity", capacity, 10_000))
        export.listen(self.bus.subscribe)
        self._exports = [*(each for each in self._exports if not each.closed), export]
        return export

    @property
    def _extensions(self) -> Extensions:
        """What plugins do here; whoever needs none of them doesn't load this."""
        if self._extended is None:
            from agentperf._plugins import Extensions

            with self._lock:
                self._extended = self._extended or Extensions(self.export, self.subscribe)
        return self._extended

    @property
    def plugins(self) -> Plugins:
        """The plugins of this host; `plugins.register(object)` adds one that is not installed."""
        return self._extensions.plugins

    @property
    def offered(self) -> Offered:
        """The tokenizers and prices that plugins offer here."""
        return self._extensions.offered

    def backend(self, text: str) -> Backends:
        """Return the cache backend for a text such as `"example"` or `"example:/var/cache"`.

        Equal texts get the same backend. It is closed when the host goes.

        Raises:
            PluginError: Nobody offers it, two plugins do, or it can't be made.
        """
        return self._extensions.backend(text)

    def store(self, text: str) -> Stores:
        """Return the store of limits for a text such as `"example"` or `"example://host"`.

        Equal texts get the same store. It is closed when the host goes.

        Raises:
            PluginError: Nobody offers it, two plugins do, or it can't be made.
        """
        return self._extensions.store(text)

    def stats(self) -> dict[str, OperationStats]:
        """Return the figures of every operation, by its name."""
        return self.tap.snapshot()

    def operation_stats(self, operation: str) -> OperationStats:
        """Return the figures of one operation; all zero where it was never called."""
        return self.tap.stats(operation)

    def configure(self, **changes: object) -> None:
        """Lay settings over those there are, from the next call on.

        A configured policy whose options stay the same keeps its state.

        Raises:
            ConfigurationError: A setting is unknown or its value is wrong; nothing changes then.
        """
        settings = self.settings.changed(**changes)
        configured = _configured(settings, self._configured)
        if self._extended is not None or settings.exporters or settings.subscribers:
            self._extensions.follow(settings, strictly=True)
        self._configured = configured
        self.settings = settings
        self.bindings.rebind()

    def __repr__(self) -> str:
        return f"<Host of {len(self.tap.snapshot())} operations>"


def _given(parameter: str, value: T | None, kind: type[T], example: str) -> T | None:
    if value is None or isinstance(value, kind):
        return value
    raise ConfigurationError(
        f"{parameter}={value!r}: a {kind.__name__} is needed, Host({parameter}={example})"
    )


def _configured(settings: Settings, before: Configured | None = None) -> Configured | None:
    """Make the configured policies; who configures none doesn't load them all."""
    if not settings.policies:
        return None
    from agentperf.policies.compose.configured import Configured

    return Configured(settings, before)


class _Named:
    """State that is shared by name."""

    def __init__(self, options: object, state: object) -> None:
        self.options = options
        self.state = state
        self.holders: weakref.WeakSet[Any] = weakref.WeakSet()


class _States:
    """What the policies of a host remember."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._owned: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        self._named: dict[tuple[type, str], _Named] = {}

    def owned(self, owners: tuple[object, ...], make: Callable[[], T]) -> T:
        with self._lock:
            level: Any = self._owned
            for owner in owners[:-1]:
                level = level.setdefault(owner, weakref.WeakKeyDictionary())
            if (state := level.get(owners[-1])) is None:
                state = level[owners[-1]] = make()
            return cast(T, state)

    def named(
        self,
        kind: type,
        name: str,
        options: object,
        owners: tuple[object, ...],
        make: Callable[[], T],
    ) -> T:
        with self._lock:
            found = self._named.get((kind, name))
            if found is not None and found.options != options:
                if found.holders:
                    raise ConfigurationError(
                        f"name={name!r} is in use with other options; give this one another "
                        f'name, such as name="{name}-2", or the very options that the other has'
                    )
                found = None  # Everybody who used it is gone: a notebook cell was run again.
            if found is None:
                found = self._named[kind, name] = _Named(options, make())
            for owner in owners[:1]:
                found.holders.add(owner)
            return cast(T, found.state)


_hosts: weakref.WeakSet[Host] = weakref.WeakSet()


def _begin_again_after_fork() -> None:
    for host in list(_hosts):
        host.begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_again_after_fork)


def make_default_host() -> None:
    """Make the process's default host, which serves the default bindings."""
    Host(bindings=default_bindings)


def current_offered() -> Offered:
    """Return what plugins offer on the current host."""
    return cast(Host, current_host()).offered


register_offered(current_offered)


def stats() -> dict[str, OperationStats]:
    """Return the figures of every timed operation on the current host, by its name.

    Example:
        for name, figures in agentperf.stats().items():
            print(figures)
    """
    return cast(Host, current_host()).stats()


def configure(**changes: object) -> None:
    """Lay settings over those of the current host, from the next call on.

    They go above the environment (`AGENTPERF_*`), which goes above the configuration file.

    Args:
        changes: `enabled=False` turns every decorated function into a plain call of itself.
            `policies=` puts policies on operations, besides what decorates their functions:
            by operation and policy its options, or True for the defaults, or False to take off
            what the file put there. `exporters=["name"]` and `subscribers=["name"]` start what
            plugins offer under these names, and end what is no longer named.

    Example:
        agentperf.configure(policies={"app.search": {"retry": {"attempts": 4}, "timed": True}})

    Raises:
        ConfigurationError: A setting is unknown or its value is wrong; nothing changes then.
    """
    cast(Host, current_host()).configure(**changes)
