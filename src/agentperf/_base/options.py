"""Options as users write them: checked, and unknown ones refused with what was probably meant."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, ParamSpec, TypeVar

from agentperf._base.callables import refuse_async
from agentperf.errors import ConfigurationError

_SLIP = 2
"""A slip of the pen changes the length of a name by so many characters at most."""

_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")


def refuse_unknown(decorator: Callable[..., Any], unknown: Mapping[str, object]) -> None:
    """Refuse options that a decorator doesn't have.

    Args:
        decorator: The decorator; its parameters are the options it has.
        unknown: What was given beyond them.

    Raises:
        ConfigurationError: Something was given.
    """
    for option, value in unknown.items():
        hint = _hint(decorator, option, value)
        raise ConfigurationError(f"{decorator.__name__} has no option {option!r}; {hint}")


_CALLED_ELSEWHERE = {
    "max_attempts": ("attempts",),
    "max_tries": ("attempts",),
    "tries": ("attempts",),
    "delay": ("backoff",),
    "max_delay": ("max_backoff",),
    "seconds": ("total",),
    "first": ("first_item",),
    "threshold": ("failure_rate", "minimum_calls"),
    "failure_threshold": ("failure_rate", "minimum_calls"),
    "fail_max": ("failure_rate", "minimum_calls"),
    "reset_timeout": ("open_for",),
    "recovery_timeout": ("open_for",),
}
"""What other libraries, and whoever guesses, call options of ours."""


def _hint(decorator: Callable[..., Any], option: str, value: object) -> str:
    import difflib  # only when something is wrong

    parameters = inspect.signature(decorator).parameters.values()
    unnamed = next((each.name for each in parameters if each.kind is each.VAR_POSITIONAL), None)
    known = [
        each.name
        for each in parameters
        if each.kind in (each.KEYWORD_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    meant = [name for name in _CALLED_ELSEWHERE.get(option, ()) if name in known]
    if len(meant) > 1:
        return f"there are {' and '.join(meant)}"
    names = known if unnamed is None else [*known, unnamed]
    close = meant or difflib.get_close_matches(option, names, n=1)
    if not close or not (meant or abs(len(close[0]) - len(option)) <= _SLIP):
        return f"there are {', '.join(known)}"
    if close[0] == unnamed:
        values = value if isinstance(value, list | tuple) else [value]
        written = f"{decorator.__name__}({', '.join(map(repr, values))})"
        return f"{unnamed} stand without a name: {written}"
    return f"did you mean {close[0]}={value!r}?"


P = ParamSpec("P")
R = TypeVar("R")


def one_by_position(instead: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Have a decorator say what was probably meant where it gets several values by position.

    Args:
        instead: What to write; `{0}` is the first value, `{1}` the second.
    """

    def around(decorator: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(decorator)
        def made(*args: P.args, **kwargs: P.kwargs) -> R:
            if len(args) > 1:
                raise ConfigurationError(
                    f"{decorator.__name__} takes one value by position, not {len(args)}; "
                    f"write {instead.format(*map(repr, args))}"
                )
            return decorator(*args, **kwargs)

        return made

    return around


By = str | Sequence[str] | Callable[..., object]
"""What tells the keys of calls apart: names of parameters, a template, or a callable."""


def checked_by(by: By | None) -> By | None:
    """Bring `by=` into its final form.

    Raises:
        ConfigurationError: It is nothing that could tell calls apart.
    """
    if callable(by):
        refuse_async("by", by, "by=lambda user, prompt: user.id")
        return by
    if by is None or isinstance(by, str):
        return by
    if isinstance(by, list | tuple) and by and all(isinstance(name, str) for name in by):
        return tuple(by)
    raise ConfigurationError(
        f'by={by!r}: the name of a parameter such as by="user_id", several, a template such as '
        'by="{request.host}", or a callable over the call\'s arguments'
    )


Share = float | str
"""A share of a whole: a number from 0 to 1, or text such as `"30%"`."""


def percent(value: object) -> Any:
    """Return the number that text such as `"30%"` stands for; anything else as it is."""
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value)):
        return float(found[1]) / 100
    return value


def share(parameter: str, value: Share, example: float, *, zero: bool = False) -> float:
    """Return a share as a number.

    Args:
        parameter: The parameter it was written for, named in the error.
        value: What the user wrote.
        example: A good value, shown in the error.
        zero: Whether nothing at all is a share too.

    Raises:
        ConfigurationError: It is no share.
    """
    found = percent(value)
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if number and (0 < found <= 1 or (zero and found == 0)):
        return float(found)
    bounds = "from 0 to 1" if zero else "above 0 and up to 1"
    raise ConfigurationError(
        f'{parameter}={value!r}: a share {bounds}, such as {parameter}={example} or "{example:.0%}"'
    )


OnFailure = Literal["open", "closed", "local"]
"""What a policy does while its store fails: let calls in, refuse them, or decide by itself."""


def checked_on_failure(value: OnFailure) -> OnFailure:
    """Return what to do while a store fails.

    Raises:
        ConfigurationError: It is none of the three.
    """
    if value not in ("local", "open", "closed"):
        raise ConfigurationError(f'on_store_failure={value!r}: "local", "open" or "closed"')
    return value


def goes_with_store(store: object, value: OnFailure, example: str) -> OnFailure:
    """Return what to do while a store fails, for a policy that may have one.

    Args:
        store: The store, if there is one.
        value: What the user wrote, or `"local"`, which goes with anything.
        example: A good call.

    Raises:
        ConfigurationError: It is none of the three, or says something where there is no store.
    """
    checked_on_failure(value)
    if store is None and value != "local":
        raise ConfigurationError(f"on_store_failure={value!r} goes with store=: {example}")
    return value


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
