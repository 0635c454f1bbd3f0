"""Records of pydantic models, openai's responses among them.

They are written and made again by their state, as pydantic's own copying does it, and not by
`model_dump` and `model_validate`: those lose the types of nested subclasses, of tuples in untyped
fields and of excluded and private attributes, and refuse what an SDK has taken from a provider
without validating it, such as a `finish_reason` that its types don't list.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any

from agentperf.codec.kinds import checked
from agentperf.codec.records import Record
from agentperf.codec.schema import tag_of

_PARTS = ("", ".model_extra", "", ".__pydantic_private__")


def recognised(kind: Any) -> Record | None:
    """Say how instances of a pydantic model are written, if the class is one."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not issubclass(kind, pydantic.BaseModel):
        return None
    fields = kind.model_fields
    names = list(fields)
    described = [(name, field.annotation) for name, field in fields.items()]
    private = ((name, "private") for name in kind.__private_attributes__)
    return Record(
        tag_of(kind, "pydantic", [*described, *private]),
        kind,
        _taker(kind, names),
        _maker(kind, names, pydantic.BaseModel.__setstate__),
        lambda _, index: _PARTS[index],
    )


def _taker(kind: type, names: list[str]) -> Callable[[Any], list[Any]]:
    numbers = {name: number for number, name in enumerate(names)}
    computed = {
        name
        for base in kind.__mro__
        for name, member in vars(base).items()
        if isinstance(member, cached_property)
    }

    def take(value: Any) -> list[Any]:
        held: dict[str, Any] = value.__dict__
        if computed:
            held = {name: part for name, part in held.items() if name not in computed}
        given = value.__pydantic_fields_set__
        return [
            held,
            value.__pydantic_extra__,
            # The names of fields are known from the class; the numbers are shorter.
            [numbers.get(name, name) for name in given],
            value.__pydantic_private__,
        ]

    return take


def _maker(
    kind: Any, names: list[str], restore: Callable[[Any, dict[Any, Any]], None]
) -> Callable[[list[Any]], Any]:
    optional = type(None)

    def make(parts: list[Any]) -> Any:
        held, extra, given, private = parts
        value = kind.__new__(kind)
        state = {
            "__dict__": checked(held, dict),
            "__pydantic_extra__": checked(extra, dict, optional),
            "__pydantic_fields_set__": {
                names[name] if type(name) is int else checked(name, str) for name in given
            },
            "__pydantic_private__": checked(private, dict, optional),
        }
        restore(value, state)
        return value

    return make
