"""An error for each of those who wait for the same computation."""

from __future__ import annotations

import copy
from typing import Any, TypeVar

E = TypeVar("E", bound=BaseException)


def twin(error: E) -> E:
    """Return an equal error, for a traceback of its own; the error itself where that can't be.

    One error raised by several threads or tasks would carry the tracebacks of all of them. The
    class's own `__init__` is not called: an error need not keep in its `args` what it was made of.
    """
    try:
        made = _made(error)
        made.__cause__, made.__context__ = error.__cause__, error.__context__
        made.__suppress_context__ = error.__suppress_context__
    except Exception:  # noqa: BLE001 - a class with a will of its own
        return error
    return made if type(made) is type(error) else error


def _made(error: E) -> E:
    kind = type(error)
    reduced = error.__reduce__()
    if isinstance(reduced, str) or reduced[0] is not kind:
        return copy.copy(error)  # the class says itself how
    arguments = reduced[1]
    made = kind.__new__(kind, *arguments)
    builtin: Any = next(base for base in kind.__mro__ if base.__module__ == "builtins")
    builtin.__init__(made, *arguments)  # for what the likes of OSError keep elsewhere
    made.args = error.args
    for name, value in _held(error, *reduced[2:]):
        object.__setattr__(made, name, list(value) if name == "__notes__" else value)
    return made


def _held(error: BaseException, *states: Any) -> list[tuple[str, Any]]:
    """The attributes of an error: those it tells of itself, its dict, its slots."""
    own: Any = object.__getstate__(error)
    parts = (*states, *(own if isinstance(own, tuple) else (own,)))
    return [item for part in parts if part for item in part.items()]
