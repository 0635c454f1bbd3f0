"""Which host is current."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeVar

from agentperf._engine.bindings import Bindings, Steps
from agentperf.errors import ConfigurationError

if TYPE_CHECKING:
    from agentperf._engine.hosting import Host

H = TypeVar("H", bound="Host")

default_bindings: Bindings[Host] = Bindings()
_current: ContextVar[Bindings[Host]] = ContextVar("agentperf.bindings", default=default_bindings)
current_steps: ContextVar[Steps] = ContextVar("agentperf.steps")
"""The steps that the current host keeps; not set where it is the default one, which keeps none."""


def register_default(make_host: Callable[[], object]) -> None:
    """Tell the engine how to make a host for the default bindings, when one is first needed."""
    default_bindings.make_host = make_host


def current_bindings() -> Bindings[Host]:
    """Return the bindings of this context."""
    return _current.get()


def current_host() -> Host:
    """Return the host of this context: the innermost `use(host)`, else the process's default."""
    return _current.get().host


@contextlib.contextmanager
def use(host: H) -> Iterator[H]:
    """Make `host` current for a region.

    Tasks started inside inherit it; new threads see the process's default unless they are given a
    copy of the context. A fresh host is a fresh world: empty caches, no counts.

    Example:
        with agentperf.use(agentperf.Host()) as host:
            answer("hello")
            print(host.stats())

    Raises:
        ConfigurationError: It is not a host.
    """
    bindings = getattr(host, "bindings", None)
    if not isinstance(bindings, Bindings):
        raise ConfigurationError(f"use({host!r}): a host is needed, use(agentperf.Host())")
    bindings.mind_like(_current.get())
    token, steps_token = _current.set(bindings), current_steps.set(bindings.steps)
    try:
        yield host
    finally:
        current_steps.reset(steps_token)
        _current.reset(token)
