"""The base of all policies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from agentperf._base.callables import refuse_unfit
from agentperf._engine.bindings import Step
from agentperf._engine.decorate import decorate
from agentperf._engine.hosting import Host
from agentperf._engine.site import Site, Target
from agentperf.errors import ConfigurationError

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Policy:
    """What a decorator adds to a call: an immutable description, applied by calling it.

    One object can decorate many functions. State is not kept here but in the host.

    Attributes:
        kind: The name of its decorator, by which policies find their order.
        hands_on: Whether it hands every call it lets in on to the next policy, as it is. What
            gates further in would say can then be asked before it.
        names_operation: Whether its name is what calls are counted under, rather than what its
            state is shared by.
        name: What the policy's state is shared by; None keeps it to this object.
        enabled: False, or a callable that says False at a call, lets calls pass as if undecorated.
    """

    kind: ClassVar[str] = ""
    hands_on: ClassVar[bool] = False
    names_operation: ClassVar[bool] = False

    name: str | None = field(default=None, kw_only=True)
    enabled: bool | Callable[[], bool] = field(default=True, kw_only=True)

    def __post_init__(self) -> None:
        if self.name is not None and (not isinstance(self.name, str) or not self.name):
            raise ConfigurationError(f'name={self.name!r}: text is needed, such as name="search"')
        if not isinstance(self.enabled, bool) and not callable(self.enabled):
            raise ConfigurationError(
                f"enabled={self.enabled!r}: True, False, or a callable such as lambda: flags.cache"
            )
        if not isinstance(self.enabled, bool):
            refuse_unfit("enabled", self.enabled, "enabled=lambda: flags.cache", 0)

    def __call__(self, function: F) -> F:
        """Decorate a function, method or callable; its signature stays as it was."""
        decorated: F = decorate((self,), function)
        return decorated

    def check(self, target: Target) -> None:
        """Refuse a function that this policy can't serve, at decoration.

        Raises:
            ConfigurationError: Saying why.
        """

    def prepare(self, host: Host) -> None:
        """Ask of a host what has to hold for all its pipelines, before one of them is bound."""

    def bind(self, site: Site, inner: Step) -> Step:
        """Put this policy in front of `inner`."""
        raise NotImplementedError
