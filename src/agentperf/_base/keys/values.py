"""Values frozen into hashable structures that are equal exactly when the values are.

An exact `str` freezes to itself and None to None; everything else becomes a tuple that begins
with a short tag for its type. Nothing is keyed by its address or its `repr`, and no library is
imported to recognise its values: they are known by the names of their classes and by shape.

A value of a class is keyed by the class's qualified name, by its fields' names and their values.
Two classes of one qualified name, such as a factory makes, therefore share keys where their
values have the same fields with the same contents: methods don't count.
"""

from __future__ import annotations

import datetime as dt
import enum
import sys
import types
import typing
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from typing import Any

from agentperf._base.keys.atoms import BUILTIN_ATOMS, NAMED_ATOMS, Freezer, function
from agentperf._base.keys.names import lasting_name, module_name
from agentperf._base.keys.unkeyable import Unkeyable, described, without_value

HOOK = "__agentperf_key__"
"""What a class defines to say itself what its values are keyed by."""

_DEEPEST = 100


def freeze(value: object, depth: int = 0) -> Hashable:
    """Freeze a value into a canonical, hashable structure, injective and typed.

    A class chooses what its values are keyed by with `__agentperf_key__`: a method without
    arguments, a property or a class attribute; None there says that it has no key.

    Args:
        value: What to freeze.
        depth: How deep inside another value it sits.

    Raises:
        Unkeyable: It has no value of its own (an iterator, a client, a lambda, ...), refers to
            itself, or is nested more than 100 deep.
    """
    kind = type(value)
    if kind is str or value is None:
        return value
    if depth > _DEEPEST:
        raise Unkeyable(f"it refers to itself or is nested more than {_DEEPEST} deep")
    exact = _BUILTINS.get(kind)
    if exact is not None:
        return exact(value, depth + 1)
    for recognise in _SHAPES:
        frozen = recognise(value, kind, depth + 1)
        if frozen is not None:
            return frozen
    raise without_value(kind)


# What values hold


def _items(values: Iterable[object], depth: int, step: str = "[{}]") -> list[Hashable]:
    items: list[Hashable] = []
    try:
        for value in values:  # a comprehension could not say where it failed
            items.append(value if type(value) is str else freeze(value, depth))  # noqa: PERF401
    except Unkeyable as error:
        error.within(step.format(len(items)))
        raise
    return items


def _pairs(pairs: Iterable[tuple[object, object]], depth: int) -> list[Hashable]:
    frozen: list[Hashable] = []
    key: object = None
    try:
        for key, value in pairs:
            frozen.append(
                (
                    key if type(key) is str else freeze(key, depth),
                    value if type(value) is str else freeze(value, depth),
                )
            )
    except Unkeyable as error:
        error.within(f"[{key!r}]" if isinstance(key, str | int) else f"[{type(key).__name__}]")
        raise
    return frozen


def _attributes(named: Iterable[tuple[str, object]], depth: int) -> list[Hashable]:
    frozen: list[Hashable] = []
    for name, value in named:
        try:
            frozen.append((name, freeze(value, depth)))
        except Unkeyable as error:
            error.within(f".{name}")
            raise
    return frozen


def _unordered(items: list[Hashable]) -> Hashable:
    # Distinct members may freeze alike, such as two nans: then their number counts.
    members = frozenset(items)
    return members if len(members) == len(items) else ("bag", frozenset(Counter(items).items()))


def _held(value: object, owners: Iterable[type]) -> Iterator[tuple[str, object]]:
    """What an instance holds in its `__dict__` and in the slots that `owners` define."""
    yield from getattr(value, "__dict__", {}).items()
    for owner in owners:
        for name, member in vars(owner).items():
            if type(member) is types.MemberDescriptorType and hasattr(value, name):
                yield name, getattr(value, name)


def _type_name(kind: type) -> str:
    return f"{module_name(kind)}:{kind.__qualname__}"


# Types known by themselves or by name


def _method(value: types.MethodType, depth: int) -> Hashable:
    name = value.__name__
    if getattr(value.__self__, name, None) != value:
        raise Unkeyable(f"the method {name!r} isn't known to its object under that name")
    return ("method", freeze(value.__self__, depth), name)


def _builtin_function(value: types.BuiltinFunctionType, depth: int) -> Hashable:
    owner = value.__self__
    if owner is None or isinstance(owner, types.ModuleType):
        return function(value, depth)
    return ("method", freeze(owner, depth), value.__name__)


def _partial(value: Any, depth: int) -> Hashable:
    parts = {"func": value.func, "args": value.args, "keywords": value.keywords}
    return ("partial", *_attributes(parts.items(), depth))


def _moment(tag: str) -> Freezer:
    return lambda value, depth: (
        tag,
        value.isoformat(),
        value.fold,
        freeze(value.tzinfo, depth),
    )


# A list, dict or set is read past what its subclass may have overridden.
_BUILTINS: Mapping[type, Freezer] = {
    **BUILTIN_ATOMS,
    list: lambda value, depth: ("list", *_items(list.__iter__(value), depth)),
    tuple: lambda value, depth: ("tuple", *_items(tuple.__iter__(value), depth)),
    dict: lambda value, depth: ("dict", _unordered(_pairs(dict.items(value), depth))),
    set: lambda value, depth: ("set", _unordered(_items(set.__iter__(value), depth, "{{…}}"))),
    frozenset: lambda value, depth: (
        "frozenset",
        _unordered(_items(frozenset.__iter__(value), depth, "{{…}}")),
    ),
    slice: lambda value, depth: ("slice", *_items((value.start, value.stop, value.step), depth)),
    types.BuiltinFunctionType: _builtin_function,
    types.MethodType: _method,
}

_NAMED: Mapping[str, Freezer] = {
    **NAMED_ATOMS,
    "collections.OrderedDict": lambda value, depth: ("OrderedDict", *_pairs(value.items(), depth)),
    "collections.deque": lambda value, depth: ("deque", value.maxlen, *_items(value, depth)),
    "datetime.datetime": _moment("datetime"),
    "datetime.time": _moment("time"),
    "datetime.timezone": lambda value, depth: (
        "timezone",
        *_items(value.__getinitargs__(), depth),
    ),
    "functools.partial": _partial,
    "types.SimpleNamespace": lambda value, depth: (
        "namespace",
        _unordered(_attributes(vars(value).items(), depth)),
    ),
}


# How everything else is recognised: the first of these that knows the value freezes it


def _own_key(value: Any, kind: type, depth: int) -> Hashable:
    if not hasattr(kind, HOOK):
        return None
    key = getattr(value, HOOK)
    if key is None:
        raise Unkeyable(f"{described(kind)} says so with {HOOK} = None")
    try:
        return ("key", _type_name(kind), freeze(key() if callable(key) else key, depth))
    except Unkeyable as error:
        error.within(f".{HOOK}")
        raise


def _class(value: Any, kind: type, _: int) -> Hashable:
    if not issubclass(kind, type):
        return None
    # The one class that type expressions mention and no module has under its own name.
    name = "builtins:NoneType" if value is types.NoneType else lasting_name(value)
    if name is None:
        raise Unkeyable(
            f"the class {value.__qualname__!r} can't be found in its module under that name, "
            "as is the rule with classes made inside a function"
        )
    return ("global", name)


def _enum_member(value: Any, kind: type, depth: int) -> Hashable:
    if not issubclass(kind, enum.Enum):
        return None
    try:
        content = freeze(value._value_, depth)
    except Unkeyable:
        content = None
    return ("enum", _type_name(kind), value._name_, content)


def _known_or_derived(value: Any, kind: type, depth: int) -> Hashable:
    """By the nearest known class; a class derived from it adds its name and what it holds."""
    for position, base in enumerate(kind.__mro__):
        known = _BUILTINS.get(base) or _NAMED.get(f"{base.__module__}.{base.__qualname__}")
        if known is not None:
            frozen = known(value, depth)
            if base is kind:
                return frozen
            names = getattr(kind, "_fields", None) if base is tuple else None
            held = _attributes(_held(value, kind.__mro__[:position]), depth)
            return ("derived", _type_name(kind), frozen, freeze(names, depth), _unordered(held))
    return None


def _pydantic_model(value: Any, kind: Any, depth: int) -> Hashable:
    if not hasattr(kind, "__pydantic_extra__"):
        return None
    held = vars(value)
    fields = ((name, held[name]) for name in kind.model_fields if name in held)
    extra = value.__pydantic_extra__ or {}
    private = getattr(value, "__pydantic_private__", None) or {}
    return (
        "model",
        _type_name(kind),
        tuple(_attributes(fields, depth)),
        _unordered(_attributes(extra.items(), depth)),
        _unordered(_attributes(private.items(), depth)),
    )


def _declared(value: Any, kind: Any, depth: int) -> Hashable:
    """Dataclasses, attrs classes and msgspec structs, by all their fields.

    A plain subclass of one may hold more than the fields it inherits, so all it holds counts.
    """
    if hasattr(kind, "__struct_fields__"):
        names = kind.__struct_fields__
    elif "__dataclass_fields__" in vars(kind):
        from dataclasses import fields

        names = [field.name for field in fields(kind)]
    elif "__attrs_attrs__" in vars(kind):
        names = [attribute.name for attribute in kind.__attrs_attrs__]
    elif hasattr(kind, "__dataclass_fields__") or hasattr(kind, "__attrs_attrs__"):
        held = _attributes(_held(value, kind.__mro__), depth)
        return ("object", _type_name(kind), _unordered(held))
    else:
        return None
    present = ((name, getattr(value, name)) for name in names if hasattr(value, name))
    return ("fields", _type_name(kind), *_attributes(present, depth))


def _time_zone(value: Any, kind: type, depth: int) -> Hashable:
    if not issubclass(kind, dt.tzinfo):
        return None
    return ("tzinfo", freeze(value.__reduce__(), depth))


def _mapping(value: Any, kind: type, depth: int) -> Hashable:
    if not issubclass(kind, Mapping):
        return None
    return ("mapping", _type_name(kind), _unordered(_pairs(value.items(), depth)))


def _type_expression(value: Any, _: type, depth: int) -> Hashable:
    """Such as `list[int]` or `int | None`."""
    origin = typing.get_origin(value)
    if origin is None:
        return None
    return ("generic", freeze(origin, depth), freeze(typing.get_args(value), depth))


def _global(value: Any, _: type, __: int) -> Hashable:
    name = lasting_name(value)
    return None if name is None else ("global", name)


def _sentinel(value: Any, kind: type, _: int) -> Hashable:
    """A stateless object that its class's module keeps under a name, as openai does `NOT_GIVEN`."""
    if any(name != "__module__" for name, _ in _held(value, kind.__mro__)):
        return None
    module = sys.modules.get(kind.__module__)
    for name, found in list(getattr(module, "__dict__", {}).items()):
        if found is value:
            return ("global", f"{module_name(kind)}:{name}")
    return None


_SHAPES: tuple[Callable[[Any, Any, int], Hashable], ...] = (
    _own_key,
    _class,
    _enum_member,
    _known_or_derived,
    _pydantic_model,
    _declared,
    _time_zone,
    _mapping,
    _type_expression,
    _global,
    _sentinel,
)
