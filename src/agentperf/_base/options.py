"""Options that nobody knows, refused with what was probably meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentperf.errors import ConfigurationError


def refuse_unknown(decorator: Callable[..., Any], unknown: Mapping[str, object]) -> None:
    """Refuse options that a decorator doesn't have.

    Args:
        decorator: The decorator; its parameters are the options it has.
        unknown: What was given beyond them.

    Raises:
        ConfigurationError: Something was given.
    """
    for option, value in unknown.items():
        import difflib  # only when something is wrong

        known = [
            name
            for name, parameter in inspect.signature(decorator).parameters.items()
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY)
        ]
        close = difflib.get_close_matches(option, known, n=1)
        hint = f"did you mean {close[0]}={value!r}?" if close else f"there are {', '.join(known)}"
        raise ConfigurationError(f"{decorator.__name__} has no option {option!r}; {hint}")


By = str | Sequence[str] | Callable[..., object]
"""What tells the keys of calls apart: names of parameters, a template, or a callable."""


def checked_by(by: By | None) -> By | None:
    """Bring `by=` into its final form.

    Raises:
        ConfigurationError: It is nothing that could tell calls apart.
    """
    if by is None or isinstance(by, str) or callable(by):
        return by
    if isinstance(by, list | tuple) and by and all(isinstance(name, str) for name in by):
        return tuple(by)
    raise ConfigurationError(
        f'by={by!r}: the name of a parameter such as by="user_id", several, a template such as '
        'by="{request.host}", or a callable over the call\'s arguments'
    )


def whole(parameter: str, value: int, example: int) -> int:
    """Return a whole number from 1 up.

    Raises:
        ConfigurationError: It is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigurationError(
            f"{parameter}={value!r}: a whole number from 1 up, {parameter}={example}"
        )
    return value
