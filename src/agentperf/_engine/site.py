"""Where a policy is put to work: on which function, in which host, in which colour."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from agentperf._base.callables import shape_of, signature_of, undressed
from agentperf._base.keys import qualified_name
from agentperf._engine.bindings import Step, Token

if TYPE_CHECKING:
    import inspect

    from agentperf._engine.hosting import Host
    from agentperf._engine.layers import Driver
    from agentperf.abc.waiting import Waiting


class Target:
    """The user's function, as policies see it.

    Attributes:
        function: The function itself.
        shape: Which of the four shapes its calls have.
        operation: The name its calls are counted under.
        covers: The pipelines on the same function behind a foreign decorator.
    """

    def __init__(
        self, function: Callable[..., Any], covers: frozenset[Token] = frozenset()
    ) -> None:
        self.function = function
        self.shape = shape_of(function)
        self.operation = qualified_name(undressed(function))
        self.covers = covers

    @functools.cached_property
    def signature(self) -> inspect.Signature:
        """The function's signature; one that takes anything where Python knows none."""
        return signature_of(self.function)


Forecast = Callable[[tuple[Any, ...], dict[str, Any]], Callable[[], Any] | None]
"""Says what a gate would do with a call now if it refused it; None where it would let it in."""


def foreseen(
    ahead: Sequence[Forecast], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Callable[[], Any] | None:
    """Return what the first of several gates that would refuse a call would do with it."""
    return next(filter(None, (forecast(args, kwargs) for forecast in ahead)), None)


@dataclass(frozen=True, slots=True)
class Site:
    """A place in a pipeline that is being bound.

    Attributes:
        operation: The name that events of the call stand under.
        ahead: The forecasts of the gates right behind this place, so that no call waits for its
            turn only to be refused.
    """

    host: Host
    target: Target
    token: Token
    driver: Driver
    waiting: Waiting
    operation: str
    ahead: list[Forecast] = field(default_factory=list)


class Bindable(Protocol):
    """What a pipeline asks of a policy.

    Attributes:
        kind: The name of its decorator.
        hands_on: Whether it hands every call it lets in on to the next policy, as it is.
        names_operation: Whether its name is what calls are counted under.
    """

    kind: ClassVar[str]
    hands_on: ClassVar[bool]
    names_operation: ClassVar[bool]

    @property
    def name(self) -> str | None:
        """The name it was given."""
        ...

    @property
    def enabled(self) -> bool | Callable[[], bool]:
        """Whether calls go through the policy; a callable is asked at each call."""
        ...

    def check(self, target: Target) -> None:
        """Refuse a function that the policy can't serve, at decoration."""

    def prepare(self, host: Host) -> None:
        """Ask of a host what has to hold for all its pipelines, before this one is bound."""

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the policy in front of `inner`."""
        ...


def operation_of(policies: Sequence[Bindable], target: Target) -> str:
    """Return the name that a function's calls are counted under."""
    for policy in policies:
        if policy.names_operation:
            return policy.name or target.operation
    return target.operation
