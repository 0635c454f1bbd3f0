"""The envelope: a few bytes in front of a value that say how to read it."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from agentperf.codec import signing
from agentperf.codec.refusals import Undecodable
from agentperf.codec.signing import Signer

VERSION = 1
"""Of the wire format. Entries of another version are misses."""

_MAGIC = b"ap"
_HEAD = len(_MAGIC) + 3


class Form(enum.IntEnum):
    """How the content is written."""

    PLAIN = 0
    TYPED = 1
    PICKLE = 2


_COMPRESSED, _SIGNED = 1, 2
_FORMS = frozenset(Form)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What is stored: the content and what is said about it.

    Layout: `ap`, version, form, flags, the signature if there is one, the content. The signature
    covers everything else, and the name under which the entry is stored.

    Attributes:
        form: How the content is written.
        compressed: Whether it is compressed.
        content: The bytes.
    """

    form: Form
    compressed: bool
    content: bytes

    def sealed(self, signer: Signer | None, name: bytes) -> bytes:
        """Write it, signed if there is a signer."""
        flags = _COMPRESSED if self.compressed else 0
        if signer is None:
            return self._head(flags) + self.content
        head = self._head(flags | _SIGNED)
        return head + signer.sign(head + self.content, name) + self.content

    def _head(self, flags: int) -> bytes:
        return _MAGIC + bytes((VERSION, self.form, flags))

    @classmethod
    def opened(cls, data: bytes, signer: Signer | None, name: bytes) -> Envelope:
        """Read one; with a signer only what that signer has signed.

        Raises:
            Undecodable: It is no envelope, of another version, or wrongly signed.
        """
        head, content = data[:_HEAD], data[_HEAD:]
        if len(head) < _HEAD or not head.startswith(_MAGIC):
            raise Undecodable("these bytes weren't written by agentperf")
        version, form, flags = head[len(_MAGIC) :]
        if version != VERSION:
            raise Undecodable(f"written in version {version} of the format, not {VERSION}")
        if form not in _FORMS or flags > _COMPRESSED | _SIGNED:
            raise Undecodable("the head of the entry is malformed")
        if flags & _SIGNED:
            signature, content = content[: signing.SIZE], content[signing.SIZE :]
        else:
            signature = b""
        if signer is not None and not signer.verify(signature, head + content, name):
            raise Undecodable("not signed with this secret" if signature else "not signed")
        if form == Form.PICKLE and signer is None:
            raise Undecodable("a pickle is read only with the secret that signed it")
        return cls(Form(form), bool(flags & _COMPRESSED), content)
