"""Writing: a value becomes msgpack, with a numbered extension wherever msgpack has no such type."""

from __future__ import annotations

import sys
from itertools import chain
from typing import Any

from msgspec.msgpack import Encoder, Ext

from agentperf.codec import arrays
from agentperf.codec.kinds import Code, Kind, Step, by_index
from agentperf.codec.plain import LARGE_INT, PLAIN, SURROGATES
from agentperf.codec.records import Record
from agentperf.codec.refusals import Unstorable, described
from agentperf.codec.registry import Registry

DEEPEST = 64
"""How many containers may sit inside one another."""

_NATIVE = frozenset({type(None), bool, int, float, str, bytes})
_UNCHECKED = frozenset({type(None), bool, float, bytes})
_INTS = range(-(2**63), 2**64)
_BUILT_IN = {list, dict, *PLAIN}
_LIST, _DICT = {list}, {dict}

_TABLE_FROM = 4
"""A list of so many records or more, all of one class, is written by columns."""

_encode = Encoder().encode
_values = dict[Any, Any].values


class Writer:
    """Writes one value.

    Whatever msgspec writes as it stands is handed over as it stands, and whole containers of it,
    looked through at the speed of C. Everything else becomes an extension: the number of its kind
    and its parts, written in turn. Types are looked at exactly; a subclass nobody knows is refused.

    Args:
        registry: The classes whose instances may be written.
        thorough: Look at every integer and text too: msgpack has no room for some of them. It is
            quicker to try without, and to begin again in the rare case.

    Attributes:
        tags: What classes of records were met, in the order of their numbers.
    """

    __slots__ = ("_native", "_numbers", "_registry", "tags")

    def __init__(self, registry: Registry, *, thorough: bool = False) -> None:
        self._registry = registry
        self._native = _UNCHECKED if thorough else _NATIVE
        self._numbers: dict[type, int] = {}
        self.tags: list[str] = []

    def write(self, value: object) -> bytes:
        """Write a value.

        Raises:
            Unstorable: Something in it is of no kind that can be written.
            OverflowError: A large integer, and the writer isn't thorough.
            UnicodeEncodeError: A text that is no Unicode, and the writer isn't thorough.
        """
        return _encode(self._packed(value, 0))

    def _packed(self, value: Any, depth: int) -> Any:
        """Turn a value into what msgspec writes as it stands."""
        kind = type(value)
        if kind in self._native:
            return value
        if depth > DEEPEST:
            raise Unstorable(f"it refers to itself or is nested more than {DEEPEST} deep")
        if kind is list:
            return self._list(value, depth + 1)
        if kind is dict and self._native.issuperset(map(type, value)):
            return self._dict(value, depth + 1)
        if kind is int or kind is str:
            return self._checked(value, depth)
        return self._extended(value, kind, depth + 1)

    def _list(self, value: list[Any], depth: int) -> Any:
        native, kinds = self._native, set(map(type, value))
        if native >= kinds:
            return value
        # Rows, as tables and results of searches have them, are seen through in one go too.
        if kinds == _LIST and native.issuperset(map(type, chain.from_iterable(value))):
            return value
        if (
            kinds == _DICT
            and native.issuperset(map(type, chain.from_iterable(value)))
            and native.issuperset(map(type, chain.from_iterable(map(_values, value))))
        ):
            return value
        if len(value) >= _TABLE_FROM and len(kinds) == 1 and not kinds <= _BUILT_IN:
            return self._table(value, depth)
        return self._parts(value, depth, by_index)

    def _dict(self, value: dict[Any, Any], depth: int) -> Any:
        native = self._native
        if native.issuperset(map(type, value.values())):
            return value
        packed = self._packed
        made = {}
        key: object = None
        try:
            for key, part in value.items():
                made[key] = part if type(part) in native else packed(part, depth)
        except Unstorable as error:
            error.within(f"[{key!r}]" if type(key) in {str, int} else f"[{type(key).__name__}]")
            raise
        return made

    def _checked(self, value: int | str, depth: int) -> Any:
        """Look whether msgpack has room for a number or text."""
        if isinstance(value, int):
            return value if value in _INTS else self._extension(LARGE_INT, value, depth)
        try:
            value.encode()
        except UnicodeEncodeError:
            return self._extension(SURROGATES, value, depth)
        return value

    def _extended(self, value: Any, kind: type, depth: int) -> Ext:
        if (plain := PLAIN.get(kind)) is not None:
            return self._extension(plain, value, depth)
        if (record := self._registry.for_writing(kind)) is not None:
            parts = self._parts(record.take(value), depth, record.step)
            return Ext(Code.RECORD, _encode([self._number(record), *parts]))
        if (array := arrays.kind_of(value)) is not None:
            return self._extension(array, value, depth)
        raise _refused(kind)

    def _extension(self, kind: Kind, value: Any, depth: int) -> Ext:
        return Ext(kind.code, _encode(self._parts(kind.take(value), depth, kind.step)))

    def _table(self, value: list[Any], depth: int) -> Any:
        """Write a list of records of one class by columns: most are seen through in one go."""
        if (record := self._registry.for_writing(type(value[0]))) is None:
            return self._parts(value, depth, by_index)
        rows = [*map(record.take, value)]
        try:
            columns = [self._list([*column], depth + 1) for column in zip(*rows, strict=True)]
        except (Unstorable, ValueError):
            columns = []
        if not columns:  # rows of several lengths or none, or a refusal: that one knows the path
            return self._parts(value, depth, by_index)
        return Ext(Code.TABLE, _encode([self._number(record), *columns]))

    def _number(self, record: Record) -> int:
        number = self._numbers.get(record.kind)
        if number is None:
            number = self._numbers[record.kind] = len(self.tags)
            self.tags.append(record.tag)
        return number

    def _parts(self, parts: list[Any], depth: int, step: Step) -> list[Any]:
        native = self._native
        if native.issuperset(map(type, parts)):
            return parts
        packed = self._packed
        made: list[Any] = []
        try:
            for part in parts:  # a comprehension could not say where it failed
                made.append(part if type(part) in native else packed(part, depth))  # noqa: PERF401
        except Unstorable as error:
            error.within(step(parts, len(made)))
            raise
        return made


def _refused(kind: type) -> Unstorable:
    known = next((base for base in kind.__mro__[1:-1] if base in _NATIVE or base in PLAIN), None)
    known = list if known is None and issubclass(kind, list) else known
    if known is not None:
        return Unstorable(
            f"{described(kind)} is a subclass of {known.__name__} and would come back as one; "
            f"return {known.__name__}(...) of it"
        )
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return Unstorable(f"{described(kind)} is used up by reading it; return a list")
    if (numpy := sys.modules.get("numpy")) is not None and issubclass(kind, numpy.ndarray):
        return Unstorable(f"{described(kind)} is no plain array; return numpy.asarray(...) of it")
    return Unstorable(
        f"{described(kind)} can't be stored; return data instead: built-in types, dataclasses, "
        "attrs classes, named tuples, enums, msgspec Structs, pydantic models, numpy arrays"
    )
