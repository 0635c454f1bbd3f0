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
    DATETIME = 8
    DATE = 9
    TIME = 10
    TIMEDELTA = 11
    TIMEZONE = 12
    ZONE_INFO = 13
    DECIMAL = 14
    UUID = 15
    COMPLEX = 16
    FRACTION = 17
    RANGE = 18
    ORDERED_DICT = 19
    DEFAULT_DICT = 20
    COUNTER = 21
    DEQUE = 22
    ARRAY = 23
    SCALAR = 24
    RECORD = 25
    TABLE = 26


Step = Callable[[list[Any], int], str]
"""Says where the part with an index sits in its value, for an error's path."""


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
        step: Says where a part sits in the value.
    """

    code: int
    take: Callable[[Any], list[Any]]
    make: Callable[[list[Any]], Any]
    step: Step = by_index


def checked(part: object, *kinds: type) -> Any:
    """Return a part that is exactly of one of these types.

    Raises:
        TypeError: It is of another.
    """
    if type(part) not in kinds:
        raise TypeError(f"a {type(part).__name__} stands in the wrong place")
    return part
