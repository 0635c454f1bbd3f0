"""Frozen values as they were, for people to read: the reverse of `freeze` for plain ones."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any


def thawed(frozen: Hashable) -> Hashable:
    """Return what `freeze` was given; what can't be told from its frozen form stays frozen.

    Lists come back as tuples, since what is returned can be hashed.
    """
    if not isinstance(frozen, tuple) or not frozen or type(frozen[0]) is not str:
        return frozen
    thaw = _BY_TAG.get(frozen[0])
    return frozen if thaw is None else thaw(*frozen[1:])


def _items(*items: Hashable) -> Hashable:
    return tuple(map(thawed, items))


def _content(content: Any) -> Hashable:
    return content if isinstance(content, bytes) else ("bytes", content)


_BY_TAG: Mapping[str, Callable[..., Hashable]] = {
    "bool": lambda value: value,
    "int": lambda value: value,
    "float": float.fromhex,
    "bytes": _content,
    "tuple": _items,
    "list": _items,
    "enum": lambda kind, name, _: f"{kind.rpartition(':')[2]}.{name}",
    "UUID": lambda value: f"{value[:8]}-{value[8:12]}-{value[12:16]}-{value[16:20]}-{value[20:]}",
    "date": lambda value: value,
}
