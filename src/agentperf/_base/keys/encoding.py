"""Digests of keys that agree between processes, hash seeds, Pythons and platforms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any


def digest(frozen: Hashable) -> str:
    """Give 160 bits of blake2b, as 40 hexadecimal digits, over what `freeze` or a key maker made.

    Equal structures have equal digests, and different ones different digests.

    Raises:
        TypeError: It holds something that `freeze` doesn't make.
    """
    return _hashed(_encoded(frozen))


def digester(*first: Hashable) -> Callable[..., str]:
    """Return what gives `digest((*first, *rest))` for `rest`; `first` is read only once.

    Raises:
        TypeError: It holds something that `freeze` doesn't make.
    """
    head = b"(" + b"".join(map(_encoded, first))

    def digest_of(*rest: Hashable) -> str:
        return _hashed(b"%b%b)" % (head, b"".join(map(_encoded, rest))))

    return digest_of


def _hashed(data: bytes) -> str:
    from hashlib import blake2b

    return blake2b(data, digest_size=20, usedforsecurity=False).hexdigest()


def _encoded(frozen: object) -> bytes:
    encode = _ENCODERS.get(type(frozen))
    if encode is None:
        raise TypeError(f"a frozen value holds no {type(frozen).__name__}: {frozen!r}")
    return encode(frozen)


def _text(frozen: str) -> bytes:
    data = frozen.encode("utf-8", "surrogatepass")
    return b"s%d:%b" % (len(data), data)


# Every atom tells its length and every group its end, so no two structures read alike.
_ENCODERS: Mapping[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"n",
    bool: lambda frozen: b"t" if frozen else b"f",
    int: lambda frozen: b"i%x;" % frozen,
    str: _text,
    bytes: lambda frozen: b"b%d:%b" % (len(frozen), frozen),
    tuple: lambda frozen: b"(%b)" % b"".join(map(_encoded, frozen)),
    frozenset: lambda frozen: b"{%b}" % b"".join(sorted(map(_encoded, frozen))),
}
