"""Finds clients that retry by themselves, known by name so that no library is imported."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any

_LIBRARIES = {"openai", "anthropic"}


def retrying_client(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> str | None:
    """Return what to call the first client in sight of a call that retries; None without one.

    In sight are the call's arguments, the object of a method, what either object holds, and the
    names that the function uses from around it.
    """
    for thing in _in_sight(function, args, kwargs):
        # A resource, such as `client.chat.completions`, has the client it belongs to.
        for client in (thing, getattr(thing, "_client", None)) if _is_known(thing) else ():
            retries = getattr(client, "max_retries", None)
            if isinstance(retries, int) and retries > 0:
                kind = type(client)
                return f"{kind.__module__.partition('.')[0]}.{kind.__name__}"
    return None


def _is_known(thing: object) -> bool:
    kinds = type(thing).__mro__
    return any(kind.__module__.partition(".")[0] in _LIBRARIES for kind in kinds)


def _in_sight(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[object]:
    owner = getattr(function, "__self__", None)
    yield owner
    yield from args
    yield from kwargs.values()
    for holder in (owner, *args[:1]):
        yield from _held_by(holder)
    yield from _around(inspect.unwrap(function))


def _held_by(thing: object) -> Iterable[object]:
    held = getattr(thing, "__dict__", None)
    return list(held.values()) if isinstance(held, dict) else ()


def _around(function: Callable[..., Any]) -> Iterable[object]:
    try:
        names = inspect.getclosurevars(getattr(function, "__func__", function))
    except (TypeError, ValueError):  # not written in Python
        return ()
    return (*names.nonlocals.values(), *names.globals.values())
