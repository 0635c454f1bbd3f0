"""Records: instances of classes with fields, taken apart and made again without running their code.

What is restored is the state, exactly as it was: no `__init__`, `__post_init__`, validator or
converter runs, so that a value comes back as it was stored and stored data can't start anything.
"""

from __future__ import annotations

import dataclasses
import enum
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from typing import Any

from agentperf.codec.kinds import Step, by_index, checked
from agentperf.codec.refusals import Unstorable
from agentperf.codec.schema import tag_of

_HEAP = 1 << 9
"""The flag that CPython sets on classes made by a `class` statement."""


@dataclass(frozen=True, slots=True)
class Record:
    """How instances of one class are written and read.

    Attributes:
        tag: Name and schema, as `tag_of` gives them.
        kind: The class.
        take: Takes an instance apart into parts.
        make: Makes an instance from its parts, which come from outside.
        step: Says where a part sits in the value.
    """

    tag: str
    kind: type
    take: Callable[[Any], list[Any]]
    make: Callable[[Sequence[Any]], Any]
    step: Step = by_index


def recognised(kind: Any) -> Record | None:
    """Say how instances of a class are written, if it is of a sort that is known."""
    for recognise in (_enum, _named_tuple, _struct, _dataclass, _attrs):
        record = recognise(kind)
        if record is not None:
            return record
    return None


def _enum(kind: Any) -> Record | None:
    if not issubclass(kind, enum.Enum):
        return None
    members = [(name, repr(member._value_)) for name, member in kind.__members__.items()]
    tag = tag_of(kind, "enum", members)
    if issubclass(kind, enum.Flag):
        return Record(tag, kind, lambda flag: [flag._value_], lambda parts: kind(_whole(parts)))

    def take(member: Any) -> list[Any]:
        if kind.__members__.get(member._name_) is not member:
            raise Unstorable(f"a member of {kind.__name__} that it doesn't list can't be stored")
        return [member._name_]

    return Record(tag, kind, take, lambda parts: kind.__members__[parts[0]])


def _whole(parts: Sequence[Any]) -> int:
    (value,) = parts
    return int(checked(value, int))


def _named_tuple(kind: Any) -> Record | None:
    names: tuple[str, ...] | None = getattr(kind, "_fields", None)
    if names is None or not issubclass(kind, tuple):
        return None
    hints = getattr(kind, "__annotations__", {})

    def take(value: Any) -> list[Any]:
        if getattr(value, "__dict__", None):
            raise Unstorable(f"a {kind.__name__} that holds more than its items can't be stored")
        return list(tuple.__iter__(value))

    def make(parts: Sequence[Any]) -> Any:
        if len(parts) != len(names):
            raise ValueError(f"{len(parts)} items for a {kind.__name__}")
        return tuple.__new__(kind, parts)

    tag = tag_of(kind, "namedtuple", ((name, hints.get(name)) for name in names))
    return Record(tag, kind, take, make, _by_name(names))


def _dataclass(kind: Any) -> Record | None:
    if "__dataclass_fields__" not in vars(kind):
        return None
    fields = dataclasses.fields(kind)
    return _of_state(kind, "dataclass", [(field.name, field.type) for field in fields])


def _attrs(kind: Any) -> Record | None:
    if "__attrs_attrs__" not in vars(kind):
        return None
    fields = [(attribute.name, attribute.type) for attribute in kind.__attrs_attrs__]
    return _of_state(kind, "attrs", fields)


def _of_state(kind: Any, shape: str, fields: list[tuple[str, object]]) -> Record | None:
    """Write what an instance holds: its fields, and whatever else was set on it."""
    if not all(base.__flags__ & _HEAP for base in kind.__mro__ if base is not object):
        return None  # it is a list, an exception, ... besides, and holds what we don't see
    names = [name for name, _ in fields]
    slots = [name for name in _slots(kind) if name not in names]
    names += slots
    return Record(
        tag_of(kind, shape, [*fields, *((slot, "slot") for slot in slots)]),
        kind,
        _taker(kind, names),
        _maker(kind, names),
        _by_name(names),
    )


def _slots(kind: type) -> Iterator[str]:
    for base in kind.__mro__:
        for name, member in vars(base).items():
            # attrs keeps a hash there, which differs from process to process.
            if type(member) is types.MemberDescriptorType and name != "_attrs_cached_hash":
                yield name


def _taker(kind: Any, names: list[str]) -> Callable[[Any], list[Any]]:
    """Take what an instance holds: the fields, what else was set, which fields have no value.

    The last two are there only when there is something to say, which is rare.
    """
    known = frozenset([*names, *computed_names(kind)])
    get = attrgetter(*names, "__class__")  # with a single name it would give no tuple

    def take(value: Any) -> list[Any]:
        held = getattr(value, "__dict__", {})
        if [*held] == names:
            return [*held.values()]
        more = {name: held[name] for name in held if name not in known}
        try:
            parts = [*get(value)][:-1]
        except AttributeError:
            unset = [name for name in names if not hasattr(value, name)]
            return [*(getattr(value, name, None) for name in names), more, unset]
        return [*parts, more] if more else parts

    return take


def _maker(kind: Any, names: list[str]) -> Callable[[Sequence[Any]], Any]:
    slotted = any(
        isinstance(getattr(kind, name, None), types.MemberDescriptorType) for name in names
    )
    count = len(names)

    def make(parts: Sequence[Any]) -> Any:
        value = object.__new__(kind)
        fields = zip(names, parts, strict=False)
        if len(parts) != count:
            fields = _added(dict(fields), value, *parts[count:])
        if slotted:
            for name, part in fields:
                object.__setattr__(value, name, part)
        else:
            value.__dict__.update(fields)
        return value

    return make


def _added(fields: dict[str, Any], value: Any, more: Any, unset: Any = ()) -> Any:
    """Restore what is rare: attributes that are no fields, and fields without a value."""
    if checked(more, dict):
        value.__dict__.update(more)
    for name in unset:
        del fields[name]
    return fields.items()


def computed_names(kind: type) -> frozenset[str]:
    """The names under which results are kept that can be computed again."""
    return frozenset(
        name
        for base in kind.__mro__
        for name, member in vars(base).items()
        if isinstance(member, cached_property)
    )


def _struct(kind: Any) -> Record | None:
    if not hasattr(kind, "__struct_fields__"):
        return None
    from msgspec.structs import fields, force_setattr

    described = fields(kind)
    names = [field.name for field in described]

    def take(value: Any) -> list[Any]:
        if getattr(value, "__dict__", None):
            raise Unstorable(f"a {kind.__name__} that holds more than its fields can't be stored")
        return [getattr(value, name) for name in names]

    def make(parts: Sequence[Any]) -> Any:
        # A Struct can't be made without its class; its `__post_init__` runs, if it has one.
        value = kind(**dict(zip(names, parts, strict=True)))
        for name, part in zip(names, parts, strict=True):
            force_setattr(value, name, part)
        return value

    tag = tag_of(kind, "struct", ((field.name, field.type) for field in described))
    return Record(tag, kind, take, make, _by_name(names))


def _by_name(names: Iterable[str]) -> Step:
    steps = [f".{name}" for name in names]
    return lambda _, index: steps[index] if index < len(steps) else ""
