"""How the key of a call is made, told without showing what the call was made with."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

from agentperf._base.keys import digest, freeze, method_self, parse_fields
from agentperf._base.keys.values import HOOK
from agentperf._engine.site import Target
from agentperf.policies.cached.options import CacheOptions

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class ExplainedArgument:
    """What one argument adds to the key of a call.

    Attributes:
        name: The parameter, with what is read of it, such as `user.id`.
        counts: By what it counts: `"value"`, `"identity"` for `self`, or `"nothing"`.
        kind: The type of what counts.
        digest: Twelve digits that are the same for equal values; empty for what counts by
            identity or not at all.
        given: Whether the call gave it; else it counts as its default.
    """

    name: str
    counts: str
    kind: str
    digest: str
    given: bool = field(default=True, compare=False)

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.name}: {self.kind} by {self.counts}", self.digest)))


@dataclass(frozen=True, slots=True)
class CacheExplanation:
    """How the key of one call is made; two calls share an answer where their keys are equal.

    Types and digests are shown, values are not.

    Attributes:
        operation: Whose cache it is.
        made_by: What makes the key: `"all arguments"`, or the option that says otherwise.
        arguments: What each argument adds to it, in the order of the parameters.
        scope: By what of the open `agentperf.scope` the answer is kept apart, such as
            `("tenant",)`, each with a digest; empty where all share it.
        key: The key: under a backend its text there, in memory a digest of it.
    """

    operation: str
    made_by: str
    arguments: tuple[ExplainedArgument, ...]
    scope: tuple[tuple[str, str], ...]
    key: str

    def against(self, other: CacheExplanation) -> tuple[str, ...]:
        """Return why two calls don't share an answer; nothing where they do."""
        if self.key == other.key:
            return ()
        reasons = []
        if self.scope != other.scope:
            reasons.append("another scope")
        if (self.operation, self.made_by) != (other.operation, other.made_by):
            reasons.append("another function or another way to make the key")
        theirs = {argument.name: argument for argument in other.arguments}
        for mine in self.arguments:
            if mine.counts != "nothing" and mine != (found := theirs.get(mine.name)):
                another = found is not None and found.kind != mine.kind
                reasons.append(f"{mine.name}: another {'type' if another else 'value'}")
        return tuple(reasons) or ("what counts by identity, or what key= gives, is another",)

    def __str__(self) -> str:
        lines = [f"{self.operation}: key {self.key}, made of {self.made_by}"]
        lines += [f"  {argument}" for argument in self.arguments if argument.given]
        if left := sum(not argument.given for argument in self.arguments):
            lines.append(f"  and {left} more at their defaults")
        lines += [f"  kept apart by {name} {shown}" for name, shown in self.scope]
        return "\n".join(lines)


def explained_arguments(
    target: Target, options: CacheOptions, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[ExplainedArgument, ...]:
    """Tell what the arguments of a call add to its key; the call must have one."""
    bound = target.signature.bind(*args, **kwargs)
    given = set(bound.arguments)
    bound.apply_defaults()
    itself = method_self(target.function, target.signature)
    first = next(iter(target.signature.parameters)) if itself else None
    told = _told(options, dict(bound.arguments))
    return tuple(
        _explained(
            name + path, counts, value, is_self=name == first and not path, given=name in given
        )
        for name, path, counts, value in told
    )


def made_by(options: CacheOptions) -> str:
    """Name what makes the keys of a cache."""
    return _made_by(options) + ("" if options.version is None else ", and the version")


def _made_by(options: CacheOptions) -> str:
    if callable(options.key):
        return "what key= gives"
    if options.key is not None:
        return f"key={options.key!r}"
    return f"all arguments but {', '.join(options.ignore)}" if options.ignore else "all arguments"


def shown(frozen: Hashable) -> str:
    """Return the digits that stand for a frozen value."""
    return digest(frozen)[:_SHOWN]


def _told(options: CacheOptions, given: dict[str, Any]) -> Iterator[tuple[str, str, bool, Any]]:
    """Give parameter and path of each part, whether it counts, and its value."""
    key = options.key
    if isinstance(key, str) and "{" in key:
        fields = parse_fields(key)
        for name, value in given.items():
            mine = [field for field in fields if field.parameter == name]
            if not mine:
                yield name, "", False, value
            for field in mine:
                yield name, field.path, True, field.read(value)
        return
    names = {key} if isinstance(key, str) else set(key) if isinstance(key, tuple) else None
    for name, value in given.items():
        if callable(key):
            yield name, "", False, value
        else:
            counts = name in names if names is not None else name not in options.ignore
            yield name, "", counts, value


def _explained(
    name: str,
    counts: bool,  # noqa: FBT001 - private
    value: Any,
    *,
    is_self: bool,
    given: bool,
) -> ExplainedArgument:
    kind = type(value).__qualname__
    if not counts:
        return ExplainedArgument(name, "nothing", kind, "", given)
    if is_self and not hasattr(type(value), HOOK):
        return ExplainedArgument(name, "identity", kind, "", given)
    return ExplainedArgument(name, "value", kind, shown(freeze(value)), given)
