"""Finds the prompt among a call's arguments, and puts another in its place."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from agentperf._base.prompts import PROMPTS
from agentperf.errors import ConfigurationError

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

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


class Prompt:
    """Where the prompt stands in a function's calls.

    Args:
        signature: The function's parameters.
        name: The parameter that holds it; None for one of the usual names, or the only one.
        function: The function's name, for errors.

    Raises:
        ConfigurationError: It is not there, or nobody can tell which it is.
    """

    def __init__(self, signature: inspect.Signature, name: str | None, function: str) -> None:
        self._function = function
        names = (name,) if name is not None else _likely(signature, function)
        if name is not None:
            _check_known(signature, name, function)
        self._places = tuple(Argument(signature, each) for each in names)

    def of(self, args: Args, kwargs: Kwargs) -> tuple[Argument, Any] | None:
        """Return the place and the prompt of a call; None where it has none."""
        for place in self._places:
            given = place.of(args, kwargs)
            if isinstance(given, str) or _are_messages(given):
                return place, given
        return None

    def unfit(self, args: Args, kwargs: Kwargs) -> ConfigurationError | None:
        """Return the error for a call whose prompt is of a kind that can't be made shorter."""
        for place in self._places:
            given = place.of(args, kwargs)
            if isinstance(given, _UNFIT):
                return ConfigurationError(
                    f"{self._function}(): {place.name} is a {type(given).__name__}; "
                    "compress_prompt makes texts and lists of messages shorter. Name the "
                    'parameter that holds one, compress_prompt("messages"), or compress it before'
                )
        return None


_UNFIT = (bytes, bytearray, Mapping, list, tuple, set, Iterator)
"""What somebody may take for a prompt; a default that stands for nothing is none of these."""


def _are_messages(given: Any) -> bool:
    return isinstance(given, list | tuple) and not any(
        item is None or isinstance(item, str | bytes | int | float | list | tuple) for item in given
    )


def _likely(signature: inspect.Signature, function: str) -> tuple[str, ...]:
    names = [n for n in signature.parameters if n not in ("self", "cls")]
    usual = tuple(n for n in PROMPTS if n in names)
    if usual or len(names) == 1:
        return usual or tuple(names)
    raise ConfigurationError(
        f"which parameter of {function}() holds the prompt? Say it: compress_prompt("
        f'"{names[0] if names else "messages"}", ratio=0.5)'
    )


def _check_known(signature: inspect.Signature, name: str, function: str) -> None:
    names = [n for n in signature.parameters if n not in ("self", "cls")]
    takes_any = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
    if name not in names and not takes_any:
        raise ConfigurationError(
            f"arg={name!r} is no parameter of {function}(); there are {', '.join(names) or 'none'}"
        )
