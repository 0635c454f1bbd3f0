"""A kind: how values of one type are taken apart into parts, and made again from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


class Code:
    """The numbers of the kinds on the wire; a number is never given to another kind."""

    TUPLE = 1
    SET = 2
    FROZENSET = 3
    DICT = 4
    BYTEARRAY = 5
    INT = 6
    STR = 7
    FLOATS = 8
    DATETIME = 9
    DATE = 10
    TIME = 11
    TIMEDELTA = 12
    TIMEZONE = 13
    ZONE_INFO = 14
    DECIMAL = 15
    UUID = 16
    COMPLEX = 17
    FRACTION = 18
    RANGE = 19
    ORDERED_DICT = 20
    DEFAULT_DICT = 21
    COUNTER = 22
    DEQUE = 23
    ARRAY = 24
    SCALAR = 25
    RECORD = 26
    TABLE = 27


def by_index(_: list[Any], index: int) -> str:
    """Name a part by its place."""
    return f"[{index}]"


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one type are written and read.

    Attributes:
        code: The kind's number on the wire.
        take: Takes a value apart into parts that are themselves written.
        make: Makes the value from its parts. They come from outside: whatever is wrong with them
            raises, nothing is called that they name, and nothing large is made of a few bytes.
        step: Says where a part sits in the value, for an error's path.
    """

    code: int
    take: Callable[[Any], list[Any]]
    make: Callable[[list[Any]], Any]
    step: Callable[[list[Any], int], str] = by_index


def checked(part: object, *kinds: type) -> Any:
    """Return a part that is exactly of one of these types.

    Raises:
        TypeError: It is of another.
    """
    if type(part) not in kinds:
        raise TypeError(f"a {type(part).__name__} stands in the wrong place")
    return part
