"""Finds the prompt among a call's arguments, and puts another in its place."""

from __future__ import annotations

import inspect
from typing import Any

from agentperf.errors import ConfigurationError

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

USUAL = ("messages", "prompt", "input", "context", "text", "question")
"""What parameters that hold a prompt are usually called."""

_KEYWORD = inspect.Parameter.KEYWORD_ONLY
_MISSING: Any = object()


class Argument:
    """One parameter of a function.

    Attributes:
        name: What it is called.
    """

    def __init__(self, signature: inspect.Signature, name: str) -> None:
        self.name = name
        self._position: int | None = None
        for position, parameter in enumerate(signature.parameters.values()):
            if parameter.name == name and parameter.kind is not _KEYWORD:
                self._position = position

    def of(self, args: Args, kwargs: Kwargs, default: Any = None) -> Any:
        """Return the argument of a call; `default` where it was left out."""
        if (value := kwargs.get(self.name, _MISSING)) is not _MISSING:
            return value
        if self._position is not None and self._position < len(args):
            return args[self._position]
        return default

    def replaced(self, args: Args, kwargs: Kwargs, value: Any) -> tuple[Args, Kwargs]:
        """Return the arguments of a call with another value for this one."""
        if self.name in kwargs or self._position is None:
            return args, {**kwargs, self.name: value}
        at = self._position
        return (*args[:at], value, *args[at + 1 :]), kwargs


def prompt_of(signature: inspect.Signature, name: str | None, function: str) -> Argument:
    """Find the parameter that holds the prompt.

    Raises:
        ConfigurationError: It is not there, or nobody can tell which it is.
    """
    names = [n for n in signature.parameters if n not in ("self", "cls")]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    if name is not None:
        if name in names or takes_any:
            return Argument(signature, name)
        raise ConfigurationError(
            f"arg={name!r} is no parameter of {function}(); there are {', '.join(names) or 'none'}"
        )
    usual = [n for n in USUAL if n in names]
    if usual or len(names) == 1:
        return Argument(signature, (usual or names)[0])
    raise ConfigurationError(
        f"which parameter of {function}() holds the prompt? Say it: compress_prompt("
        f'"{names[0] if names else "messages"}", ratio=0.5)'
    )
