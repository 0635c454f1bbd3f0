"""The policies that the settings put on operations, besides those of the decorators."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from agentperf._engine.order import place
from agentperf._engine.policy import Policy
from agentperf._engine.site import Bindable, Target
from agentperf.config.complaints import Path, suggestion
from agentperf.config.settings import Options, Settings
from agentperf.errors import ConfigurationError
from agentperf.policies.compose.catalogue import DECORATORS
from agentperf.policies.timed import Timed


@dataclass(frozen=True, slots=True)
class _Made:
    """A policy on an operation, where it is configured, and the options it was made with."""

    path: Path
    options: Options
    policy: Policy


class Configured:
    """The policies that settings put on operations.

    Args:
        settings: What to make them of.
        before: What the settings made until now: a policy whose options stay the same stays the
            same object, and so keeps its state.

    Raises:
        ConfigurationError: A policy or an option is unknown, or its value is wrong.
    """

    def __init__(self, settings: Settings, before: Configured | None = None) -> None:
        self._settings = settings
        kept = before.made if before else {}
        self.made: dict[str, tuple[_Made, ...]] = {
            operation: self._in_order(operation, kept.get(operation, ()))
            for operation in settings.policies
        }

    def completed(self, target: Target, policies: tuple[Bindable, ...]) -> tuple[Bindable, ...]:
        """Return a function's policies with those that are configured for its operation.

        The decorators keep their order. A configured policy goes in front of the first that
        belongs further in; one of a kind that decorates the function already is left out.

        Raises:
            ConfigurationError: A configured policy can't serve the function.
        """
        if target.covers:  # The pipeline further in, behind a foreign decorator, has them already.
            return policies
        whole = list(policies)
        for made in self._for(target, policies):
            policy: Bindable = made.policy
            if all(other.kind != policy.kind for other in policies):
                self._check(made, target)
                further_in = (place(other.kind) > place(policy.kind) for other in whole)
                at = next((i for i, inner in enumerate(further_in) if inner), len(whole))
                whole.insert(at, policy)
        return tuple(whole)

    def _for(self, target: Target, policies: tuple[Bindable, ...]) -> tuple[_Made, ...]:
        """Find what is configured, by the name the calls are counted under or the function's."""
        timed = next((p.name for p in policies if isinstance(p, Timed) and p.name), None)
        return self.made.get(timed or "") or self.made.get(target.operation, ())

    def _in_order(self, operation: str, before: tuple[_Made, ...]) -> tuple[_Made, ...]:
        configured = self._settings.policies[operation]
        for kind in configured:
            if kind not in DECORATORS:
                text = f": no such policy{suggestion(kind, DECORATORS)}"
                raise self._settings.complaint(("policies", operation, kind), text)
        kept = {made.path: made for made in before}
        made = []
        for kind in DECORATORS:
            if not isinstance(options := configured.get(kind, False), bool):
                path = ("policies", operation, kind)
                same = kept.get(path)
                if same is None or same.options != options:
                    same = _Made(path, options, self._policy(path, options))
                made.append(same)
        return tuple(made)

    def _policy(self, path: Path, options: Options) -> Policy:
        decorator = DECORATORS[path[-1]]
        known = _options_of(decorator)
        for option in options:
            if option not in known:
                text = f": no such option of {path[-1]}{suggestion(option, known)}"
                raise self._settings.complaint((*path, option), text)
        try:
            policy: Policy = _made(decorator, options)
        except (TypeError, ValueError) as error:
            blamed = [option for option in options if str(error).startswith(f"{option}=")]
            raise self._settings.complaint((*path, *blamed[:1]), f": {error}") from error
        return policy

    def _check(self, made: _Made, target: Target) -> None:
        try:
            made.policy.check(target)
        except ConfigurationError as error:
            raise self._settings.complaint(made.path, f": {error}") from error


def _made(decorator: Callable[..., Any], options: Options) -> Policy:
    """Call a decorator; what it takes by position goes under one name, as a list."""
    by_name, by_position = dict(options), []
    for parameter in inspect.signature(decorator).parameters.values():
        if parameter.kind is parameter.VAR_POSITIONAL and parameter.name in by_name:
            by_position = by_name.pop(parameter.name)
            if not isinstance(by_position, list | tuple):
                raise ConfigurationError(f"{parameter.name}={by_position!r}: a list is needed")
    made: Policy = decorator(*by_position, **by_name)
    return made


def _options_of(decorator: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(decorator).parameters.values()
    return [p.name for p in parameters if p.kind not in (p.POSITIONAL_ONLY, p.VAR_KEYWORD)]
