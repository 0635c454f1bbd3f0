"""What the engine asks of a host, which it knows only by this contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from agentperf._base.clock import Clock
from agentperf._engine.bindings import Bindings
from agentperf._engine.bus import Bus
from agentperf.abc.backends import Backends
from agentperf.abc.telemetry import Tap
from agentperf.config import Settings

if TYPE_CHECKING:
    from agentperf.abc.stores import Stores

T = TypeVar("T")


class Host(Protocol):
    """A world of its own: time, state, subscribers, figures and settings."""

    @property
    def clock(self) -> Clock:
        """Where time comes from."""
        ...

    @property
    def bus(self) -> Bus:
        """Where events go."""
        ...

    @property
    def tap(self) -> Tap:
        """Where counts and durations go."""
        ...

    @property
    def settings(self) -> Settings:
        """What `configure` said."""
        ...

    @property
    def bindings(self) -> Bindings[Host]:
        """The pipelines bound to this host."""
        ...

    def backend(self, text: str) -> Backends:
        """Return the cache backend for a text such as `"example:/var/cache"`.

        Raises:
            PluginError: Nobody offers it, two plugins do, or it can't be made.
        """
        ...

    def store(self, text: str) -> Stores:
        """Return the store of limits for a text such as `"example://host"`.

        Raises:
            PluginError: Nobody offers it, two plugins do, or it can't be made.
        """
        ...

    def completed(self, target: Any, policies: tuple[Any, ...]) -> tuple[Any, ...]:
        """Return a function's policies with those that the settings add, outermost first."""
        ...

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
        ...
