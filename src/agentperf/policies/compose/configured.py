"""The policies that the settings put on operations, besides those of the decorators."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

from agentperf._engine.policy import Policy
from agentperf._engine.site import Bindable, Target
from agentperf.config.complaints import Path, suggestion
from agentperf.config.settings import Options, Settings
from agentperf.errors import ConfigurationError
from agentperf.policies.compose.catalogue import CANONICAL, Kind, rank
from agentperf.policies.timed import Timed


@dataclass(frozen=True, slots=True)
class _Made:
    """A policy on an operation, and the options it was made with."""

    path: Path
    options: Options
    policy: Policy


class Configured:
    """The policies that settings put on operations.

    Args:
        settings: What to make them of.
        before: What the settings were until now: a policy whose options stay the same stays the
            same object, and so keeps its state.

    Raises:
        ConfigurationError: A policy or an option is unknown, or its value is wrong.
    """

    def __init__(self, settings: Settings, before: Configured | None = None) -> None:
        self._settings = settings
        self._kept = before.made if before else {}
        self.made: dict[Path, _Made] = {}
        self._by_operation = {
            operation: self._in_order(operation) for operation in settings.policies
        }
        self._kept = {}

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
            place = rank(made.policy)
            ranks = [rank(policy) for policy in whole]
            if place is None or place in ranks:
                continue
            self._check(made, target)
            inner = (i for i, other in enumerate(ranks) if other is not None and other > place)
            whole.insert(next(inner, len(whole)), made.policy)
        return tuple(whole)

    def _for(self, target: Target, policies: tuple[Bindable, ...]) -> tuple[_Made, ...]:
        """Find what is configured, by the name the calls are counted under or the function's."""
        timed = next((p.name for p in policies if isinstance(p, Timed) and p.name), None)
        for name in (timed, target.operation):
            if name is not None and name in self._by_operation:
                return self._by_operation[name]
        return ()

    def _in_order(self, operation: str) -> tuple[_Made, ...]:
        configured = self._settings.policies[operation]
        known = [kind.name for kind in CANONICAL]
        for name in configured:
            if name not in known:
                text = f": no such policy{suggestion(name, known)}"
                raise self._settings.complaint(("policies", operation, name), text)
        return tuple(
            self._make(kind, operation, options)
            for kind in CANONICAL
            if not isinstance(options := configured.get(kind.name, False), bool)
        )

    def _make(self, kind: Kind, operation: str, options: Options) -> _Made:
        path = ("policies", operation, kind.name)
        kept = self._kept.get(path)
        if kept is None or kept.options != options:
            kept = _Made(path, options, self._policy(kind, path, options))
        self.made[path] = kept
        return kept

    def _policy(self, kind: Kind, path: Path, options: Options) -> Policy:
        known = _options_of(kind)
        for option in options:
            if option not in known:
                text = f": no such option of {kind.name}{suggestion(option, known)}"
                raise self._settings.complaint((*path, option), text)
        try:
            policy: Policy = kind.decorator(**options)
        except (TypeError, ValueError) as error:
            named = [option for option in options if str(error).startswith(f"{option}=")]
            place = (*path, *named[:1])
            raise ConfigurationError(str(self._settings.complaint(place, f": {error}"))) from error
        return policy

    def _check(self, made: _Made, target: Target) -> None:
        try:
            made.policy.check(target)
        except ConfigurationError as error:
            raise self._settings.complaint(made.path, f": {error}") from error


def _options_of(kind: Kind) -> list[str]:
    parameters = inspect.signature(kind.decorator).parameters.values()
    return [p.name for p in parameters if p.kind is not p.POSITIONAL_ONLY]
