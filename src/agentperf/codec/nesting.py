"""Nesting of msgpack, measured without recursion.

msgspec reads what is nested recursively and stops at Python's own limit. A program that has raised
that limit far enough would run out of stack on hostile data, which ends the process.
"""

from __future__ import annotations

import sys

_HARMLESS = 2_000
"""Up to this limit on recursion, Python's default is half of it, any thread's stack is enough."""

_HEADS = bytes([*range(0x80, 0xA0), *range(0xDC, 0xE0)])
"""The first bytes of arrays and maps."""

_FIXED = {
    0xCA: 4,
    0xCB: 8,
    **{0xCC + n: 1 << n for n in range(4)},
    **{0xD0 + n: 1 << n for n in range(4)},
    **{0xD4 + n: 1 + (1 << n) for n in range(5)},
}
"""By first byte, how many more bytes belong to it: numbers, and extensions of fixed length."""

_SIZED = {
    **{0xC4 + n: (1 << n, 0) for n in range(3)},
    **{0xC7 + n: (1 << n, 1) for n in range(3)},
    **{0xD9 + n: (1 << n, 0) for n in range(3)},
}
"""By first byte, how many bytes tell the length, and how many more there are besides."""

_COUNTED = {0xDC: (2, 1), 0xDD: (4, 1), 0xDE: (2, 2), 0xDF: (4, 2)}
"""By first byte, how many bytes tell the number of items, and how many values an item has."""


def refuse_deep(data: bytes, deepest: int) -> None:
    """Refuse data that might end the process, where Python's own limit would not.

    Raises:
        ValueError: Arrays and maps are nested more than `deepest` deep.
    """
    if sys.getrecursionlimit() <= _HARMLESS:
        return
    if len(data) - len(data.translate(None, _HEADS)) > deepest and nesting(data) > deepest:
        raise ValueError(f"nested more than {deepest} deep")


def nesting(data: bytes) -> int:
    """Tell how deep arrays and maps are nested; what is cut off counts as far as it goes."""
    at, deepest = 0, 0
    open_: list[int] = []  # how many values each array or map around has still to come
    while at < len(data):
        first = data[at]
        at += 1
        items = -1
        if first in _COUNTED:
            width, each = _COUNTED[first]
            items = each * int.from_bytes(data[at : at + width], "big")
            at += width
        elif 0x80 <= first < 0xA0:
            items = (first & 0x0F) * (2 if first < 0x90 else 1)
        elif 0xA0 <= first < 0xC0:
            at += first & 0x1F
        elif first in _SIZED:
            width, more = _SIZED[first]
            at += width + more + int.from_bytes(data[at : at + width], "big")
        else:
            at += _FIXED.get(first, 0)
        while open_ and open_[-1] == 0:
            open_.pop()
        if open_:
            open_[-1] -= 1
        if items >= 0:
            open_.append(items)
            deepest = max(deepest, len(open_))
    return deepest
