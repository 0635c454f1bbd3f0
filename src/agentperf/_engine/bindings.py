"""The pipelines that are bound to one host."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any, Generic, Protocol, TypeVar

H = TypeVar("H")

Step = Callable[[tuple[Any, ...], dict[str, Any]], Any]
"""One bound stage of a call: takes its arguments, gives its value.

In the asynchronous colour the value may also be a coroutine of it.
"""


class Token:
    """Stands for a pipeline in tables, without keeping it alive."""

    __slots__ = ()


Steps = dict[Token, Step]


class Binds(Protocol):
    """What can be bound to a host: a pipeline.

    Attributes:
        token: What stands for it.
        steps: Its step on the process's default host.
    """

    token: Token
    steps: Steps

    def bind(self, host: Any) -> Step:
        """Build the steps of a call for `host`."""
        ...


class Bindings(Generic[H]):
    """The pipelines bound to one host.

    A step refers to its host and to its function, so whichever of the two lives longer must not
    be the one that keeps it. The default host stays as long as the process: there, each pipeline
    keeps its own step. Any other host keeps the steps itself and takes them with it.

    Attributes:
        steps: The steps that the host keeps.
        minds_scopes: Whether a scope was ever opened; who never opens one doesn't pay for it.
        minds_modes: The same for a cache mode.
        around: What stands around every pipeline, outermost.
        inside: What stands in every pipeline innermost, right around its function.
        make_host: Makes the host of the default bindings, when one is first needed.
    """

    def __init__(self, make_host: Callable[[], object] | None = None) -> None:
        self.steps: Steps = {}
        self.minds_scopes = False
        self.minds_modes = False
        self.around: tuple[Any, ...] = ()
        self.inside: tuple[Any, ...] = ()
        self.make_host = make_host
        self._hosts: dict[None, H] = {}
        self._generation = 0
        self._bound: dict[Token, weakref.ref[Binds]] = {}

    @property
    def host(self) -> H:
        """The host, made now if these are the default bindings and nobody asked before."""
        if not self._hosts and self.make_host is not None:
            self.make_host()
        if not self._hosts:
            raise RuntimeError("these bindings have no host")
        return self._hosts[None]

    @host.setter
    def host(self, host: H) -> None:
        # Of two threads that make the default host at once, both get the one that was set first.
        self._hosts.setdefault(None, host)

    def bind(self, pipeline: Binds, steps: Steps) -> Step:
        """Bind a pipeline that is called for the first time here, and keep its step in `steps`."""
        host = self.host
        generation = self._generation
        step = steps[pipeline.token] = pipeline.bind(host)
        self._watch(pipeline)
        if self._generation != generation:  # what it was bound to has changed meanwhile
            self.forget(pipeline)
        return step

    def _watch(self, pipeline: Binds) -> None:
        """Let go of the step when its function goes, so that local functions don't pile up."""
        bindings, token = weakref.ref(self), pipeline.token

        def gone(_: object) -> None:
            if (mine := bindings()) is not None:
                mine.steps.pop(token, None)
                mine._bound.pop(token, None)  # noqa: SLF001 - its own

        self._bound[token] = weakref.ref(pipeline, gone)

    def forget(self, pipeline: Binds) -> None:
        """Let go of a pipeline's step; its next call binds it anew."""
        self.steps.pop(pipeline.token, None)
        pipeline.steps.clear()

    def rebind(self) -> None:
        """Bind every pipeline anew at its next call: something they were bound to has changed."""
        self._generation += 1
        for reference in self._bound.copy().values():  # a collection may remove some of them
            if (pipeline := reference()) is not None:
                self.forget(pipeline)

    def mind_scopes(self) -> None:
        """Have policies look at the scope from now on."""
        if not self.minds_scopes:
            self.minds_scopes = True
            self.rebind()

    def mind_modes(self) -> None:
        """Have caches look at the cache mode from now on."""
        if not self.minds_modes:
            self.minds_modes = True
            self.rebind()

    def surround(self, around: tuple[Any, ...], inside: tuple[Any, ...]) -> None:
        """Put policies around and into every pipeline from now on; only the first time counts."""
        if not self.around:
            self.around, self.inside = around, inside
            self.rebind()

    def mind_like(self, other: Bindings[Any]) -> None:
        """Look at all that the other bindings look at."""
        if other.minds_scopes:
            self.mind_scopes()
        if other.minds_modes:
            self.mind_modes()
        if other.around:
            self.surround(other.around, other.inside)
