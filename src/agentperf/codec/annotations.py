"""The classes that an annotation speaks of, so that a function's answers can be read."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from agentperf.codec import pydantic_models, records


def registered_for(annotation: object) -> tuple[type, ...]:
    """Collect the classes to register for values of a type, as it is written in an annotation.

    Looks into unions, generics such as `list[Answer]` or `AsyncIterator[Answer]`, `Annotated`,
    and the fields of the classes it finds. What can't be resolved is left out: its entries are
    then misses in processes that haven't written one themselves.

    Args:
        annotation: A class or type expression; not a text. `typing.get_type_hints` turns the
            annotations of a function into these.

    Example:
        >>> import dataclasses
        >>> @dataclasses.dataclass
        ... class Answer:
        ...     text: str
        >>> [kind.__name__ for kind in registered_for(list[Answer] | None)]
        ['Answer']
    """
    found: dict[type, None] = {}
    seen: set[int] = set()
    left: list[Any] = [annotation]
    while left:
        expression = left.pop()
        if id(expression) in seen:
            continue
        seen.add(id(expression))
        arguments = typing.get_args(expression)
        left += arguments
        origin = typing.get_origin(expression) or expression
        if not isinstance(origin, type):
            left += _behind_a_name(expression)
            continue
        if pydantic_models.recognised(origin) or records.recognised(origin):
            found[origin] = None
        left += _fields(origin)
    return tuple(found)


def _behind_a_name(expression: Any) -> Iterator[Any]:
    """What a `type` statement's alias or a `NewType` stands for."""
    for attribute in ("__value__", "__supertype__"):
        if (meant := getattr(expression, attribute, None)) is not None:
            yield meant


def _fields(kind: Any) -> list[Any]:
    if hasattr(kind, "__pydantic_fields__"):
        return [field.annotation for field in kind.model_fields.values()]
    if not (records.recognised(kind) or typing.is_typeddict(kind)):
        return []
    try:
        return list(typing.get_type_hints(kind).values())
    except Exception:  # noqa: BLE001 - names that exist for type checkers only
        return []
