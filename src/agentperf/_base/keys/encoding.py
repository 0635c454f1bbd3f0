"""Digests of keys that agree between processes, hash seeds, Pythons and platforms."""

from __future__ import annotations

from collections.abc import Hashable


def digest(frozen: Hashable) -> str:
    """Give 160 bits of blake2b, as 40 hexadecimal digits, over what `freeze` or a key maker made.

    Equal structures have equal digests, and different ones different digests.

    Raises:
        TypeError: It holds something that `freeze` doesn't make.
    """
    from hashlib import blake2b

    return blake2b(_encoded(frozen), digest_size=20, usedforsecurity=False).hexdigest()


def _encoded(frozen: object) -> bytes:
    """Every atom tells its length and every group its end, so no two structures read alike."""
    kind = type(frozen)
    if frozen is None:
        return b"n"
    if isinstance(frozen, str) and kind is str:
        data = frozen.encode("utf-8", "surrogatepass")
        return b"s%d:%b" % (len(data), data)
    if isinstance(frozen, bytes) and kind is bytes:
        return b"b%d:%b" % (len(frozen), frozen)
    if isinstance(frozen, bool):
        return b"t" if frozen else b"f"
    if isinstance(frozen, int) and kind is int:
        return b"i%x;" % frozen
    if isinstance(frozen, tuple) and kind is tuple:
        return b"(%b)" % b"".join(map(_encoded, frozen))
    if isinstance(frozen, frozenset) and kind is frozenset:
        return b"{%b}" % b"".join(sorted(map(_encoded, frozen)))
    raise TypeError(f"a frozen value holds no {kind.__name__}: {frozen!r}")
