"""Records of pydantic models, openai's responses among them.

They are written and made again by their state, as pydantic's own copying does it, and not by
`model_dump` and `model_validate`: those lose the types of nested subclasses, of tuples in untyped
fields and of excluded and private attributes, and refuse what an SDK has taken from a provider
without validating it, such as a `finish_reason` that its types don't list.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from agentperf.codec.kinds import Step, checked
from agentperf.codec.records import Record, computed_names
from agentperf.codec.schema import tag_of


def recognised(kind: Any) -> Record | None:
    """Say how instances of a pydantic model are written, if the class is one."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not hasattr(pydantic, "RootModel"):  # as in its version 1
        return None
    if not issubclass(kind, pydantic.BaseModel):
        return None
    fields = kind.model_fields
    names = list(fields)
    described = [(name, field.annotation) for name, field in fields.items()]
    base = pydantic.RootModel if issubclass(kind, pydantic.RootModel) else pydantic.BaseModel
    private = ((name, "private") for name in kind.__private_attributes__)
    return Record(
        tag_of(kind, "pydantic", [*described, *private]),
        kind,
        _taker(kind, names),
        _maker(kind, names, base.__setstate__),
        _by_name(names),
    )


def _by_name(names: list[str]) -> Step:
    steps = [*(f".{name}" for name in names), "", ".model_extra", ".__pydantic_private__", ""]
    return lambda _, index: steps[index]


def _taker(kind: type, names: list[str]) -> Callable[[Any], list[Any]]:
    """Take the fields, then which were given, what came besides, and private attributes."""
    numbers = {name: number for number, name in enumerate(names)}
    left_out = frozenset([*names, *computed_names(kind)])

    def take(value: Any) -> list[Any]:
        held: dict[str, Any] = value.__dict__
        extra = value.__pydantic_extra__
        rest = [
            _numbered(value.__pydantic_fields_set__, numbers),
            # What msgspec writes as it stands is quicker than a dict without anything in it.
            extra or (None if extra is None else False),
            value.__pydantic_private__,
        ]
        if [*held] == names:
            return [*held.values(), *rest]
        more = {name: held[name] for name in held if name not in left_out}
        if numbers.keys() <= held.keys():
            return [*map(held.get, names), *rest, *([more] if more else [])]
        # An SDK that doesn't validate may leave fields out.
        more |= {name: held[name] for name in names if name in held}
        return [*([None] * len(names)), *rest, more, True]

    return take


def _numbered(given: set[str], numbers: dict[str, int]) -> Any:
    """Write names of fields by their numbers; extra ones, which may be among them, as they are."""
    try:
        return bytes(map(numbers.__getitem__, given))
    except (KeyError, ValueError):  # no field, or one beyond the number 255
        return [*map(numbers.get, given, given)]


def _named(given: Any, names: list[str]) -> set[str]:
    if type(given) is bytes:
        return set(map(names.__getitem__, given))
    return {names[name] if type(name) is int else checked(name, str) for name in given}


def _maker(
    kind: Any, names: list[str], restore: Callable[[Any, dict[Any, Any]], None]
) -> Callable[[Sequence[Any]], Any]:
    count = len(names)
    none = type(None)

    def make(parts: Sequence[Any]) -> Any:
        given, extra, private, *more = parts[count:]
        held = {} if len(more) > 1 else dict(zip(names, parts, strict=False))
        if more:
            held.update(checked(more[0], dict))
        value = object.__new__(kind)
        state = {
            "__dict__": held,
            "__pydantic_extra__": {} if extra is False else checked(extra, dict, none),
            "__pydantic_fields_set__": _named(given, names),
            "__pydantic_private__": checked(private, dict, none),
        }
        restore(value, state)
        return value

    return make
