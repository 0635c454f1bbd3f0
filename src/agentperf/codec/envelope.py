"""The envelope: a few bytes in front of a value that say how to read it.

Layout: `ap`, version, form, flags, the signature if there is one, the content. The signature
covers everything else, and the name under which the entry is stored.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from agentperf.codec import signing
from agentperf.codec.refusals import (
    FOREIGN,
    OTHER_VERSION,
    PICKLED,
    UNSIGNED,
    WRONGLY_SIGNED,
    Undecodable,
)
from agentperf.codec.signing import Signer

VERSION = 1
"""Of the wire format. Entries of another version are misses."""

PLAIN: Final = 0
"""A form of content: a value without records."""

TYPED: Final = 1
"""A form of content: the tags of the records' classes, then the value."""

PICKLE: Final = 2
"""A form of content: a pickle."""

_MAGIC = b"ap"
_HEAD = len(_MAGIC) + 3
_COMPRESSED, _SIGNED = 1, 2


class Envelope(NamedTuple):
    """What is stored: the content and what is said about it.

    Attributes:
        form: How the content is written: `PLAIN`, `TYPED` or `PICKLE`.
        compressed: Whether it is compressed.
        content: The bytes.
    """

    form: int
    compressed: bool
    content: bytes


def sealed(envelope: Envelope, signer: Signer | None, name: bytes) -> bytes:
    """Write an envelope, signed if there is a signer."""
    form, compressed, content = envelope
    flags = (_COMPRESSED if compressed else 0) | (_SIGNED if signer else 0)
    head = _MAGIC + bytes((VERSION, form, flags))
    if signer is None:
        return head + content
    return head + signer.sign(head + content, name) + content


def opened(data: bytes, signer: Signer | None, name: bytes) -> Envelope:
    """Read an envelope; with a signer only what that signer has signed.

    Raises:
        Undecodable: It is no envelope, of another version, or wrongly signed.
    """
    head, content = data[:_HEAD], data[_HEAD:]
    if len(head) < _HEAD or not head.startswith(_MAGIC):
        raise Undecodable("these bytes weren't written by agentperf", FOREIGN)
    version, form, flags = head[len(_MAGIC) :]
    if version != VERSION:
        raise Undecodable(
            f"written in version {version} of the format, not {VERSION}", OTHER_VERSION
        )
    if form > PICKLE or flags > _COMPRESSED | _SIGNED:
        raise Undecodable("the head of the entry is malformed")
    signature = b""
    if flags & _SIGNED:
        signature, content = content[: signing.SIZE], content[signing.SIZE :]
    if signer is not None and not signer.verify(signature, head + content, name):
        if not signature:
            raise Undecodable("not signed", UNSIGNED)
        raise Undecodable("not signed with this secret", WRONGLY_SIGNED)
    if form == PICKLE and signer is None:
        raise Undecodable("a pickle is read only with the secret that signed it", PICKLED)
    return Envelope(form, bool(flags & _COMPRESSED), content)
