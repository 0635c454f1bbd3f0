"""What the engine asks of a host, and the pipelines that are bound to one."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from agentperf._base.clock import Clock
from agentperf._engine.bus import Bus
from agentperf.abc.telemetry import Tap
from agentperf.config import Settings

T = TypeVar("T")

Step = Callable[[tuple[Any, ...], dict[str, Any]], Any]
"""One bound stage of a call: takes its arguments, gives its value.

In the asynchronous colour the value may also be a coroutine of it.
"""


class Binds(Protocol):
    """What can be bound to a host: a pipeline."""

    def bind(self, host: Host) -> Step:
        """Build the steps of a call for `host`."""
        ...


class Token:
    """Stands for a pipeline in the tables of hosts, without keeping it alive."""

    __slots__ = ("pipeline",)

    def __init__(self, pipeline: Binds) -> None:
        self.pipeline = weakref.ref(pipeline)


Steps = dict[Token, Step]


class Bindings:
    """The pipelines bound to one host.

    Attributes:
        steps: Those that are bound now; every decorated call looks itself up here.
        minds_scopes: Whether a scope was ever opened; who never opens one doesn't pay for it.
        make_host: Makes the host of the default bindings, when one is first needed.
    """

    def __init__(self, make_host: Callable[[], object] | None = None) -> None:
        self.steps: Steps = {}
        self.minds_scopes = False
        self._host: Host | None = None
        self.make_host = make_host
        self._watched: dict[Token, weakref.ref[Binds]] = {}

    @property
    def host(self) -> Host:
        """The host, made now if these are the default bindings and nobody asked before."""
        if self._host is None and self.make_host is not None:
            self.make_host()
        if self._host is None:
            raise RuntimeError("these bindings have no host")
        return self._host

    @host.setter
    def host(self, host: Host) -> None:
        self._host = host

    def bind(self, token: Token) -> Step:
        """Bind a pipeline that is called for the first time here."""
        pipeline = token.pipeline()
        if pipeline is None:
            raise RuntimeError("a call through a wrapper that is being collected")
        step = self.steps[token] = pipeline.bind(self.host)
        self._watch(token, pipeline)
        return step

    def _watch(self, token: Token, pipeline: Binds) -> None:
        """Forget the step when its function goes, so that local functions don't pile up."""
        bindings = weakref.ref(self)

        def gone(_: object) -> None:
            if (mine := bindings()) is not None:
                mine.forget(token)

        self._watched[token] = weakref.ref(pipeline, gone)

    def forget(self, token: Token) -> None:
        """Let go of a pipeline's step; its next call binds it anew."""
        self.steps.pop(token, None)
        self._watched.pop(token, None)

    def rebind(self) -> None:
        """Bind every pipeline anew at its next call: something they were bound to has changed."""
        self.steps.clear()

    def mind_scopes(self) -> None:
        """Have policies look at the scope from now on."""
        if not self.minds_scopes:
            self.minds_scopes = True
            self.rebind()


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
    def bindings(self) -> Bindings:
        """The pipelines bound to this host."""
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
