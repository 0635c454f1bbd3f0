"""Signatures: a keyed BLAKE2b over all that is read, and over the name it is stored under."""

from __future__ import annotations

import hmac
from hashlib import blake2b

from agentperf.errors import ConfigurationError

SIZE = 16
"""Bytes of a signature."""

_SHORTEST = 16
_PERSON = b"agentperf codec"


class Signer:
    """Signs and checks with one secret.

    Args:
        secret: At least 16 bytes, or a text of as many.

    Raises:
        ConfigurationError: The secret is of another type, or shorter.
    """

    def __init__(self, secret: str | bytes) -> None:
        if not isinstance(secret, str | bytes):
            raise ConfigurationError(
                f"secret: text or bytes, not {type(secret).__name__}; "
                'an example: Codec(secret=os.environ["CACHE_SECRET"])'
            )
        raw = secret.encode() if isinstance(secret, str) else secret
        if len(raw) < _SHORTEST:
            raise ConfigurationError(
                f"secret: at least {_SHORTEST} bytes, not {len(raw)}; "
                "one can be made with: python -c 'import secrets; print(secrets.token_hex())'"
            )
        self._key = blake2b(raw, person=_PERSON).digest()

    def sign(self, data: bytes, name: bytes) -> bytes:
        """Give the signature of `data` as stored under `name`."""
        made = blake2b(key=self._key, digest_size=SIZE, person=_PERSON)
        made.update(len(name).to_bytes(8, "little"))
        made.update(name)
        made.update(data)
        return made.digest()

    def verify(self, signature: bytes, data: bytes, name: bytes) -> bool:
        """Whether a signature is that of `data` under `name`; takes the same time either way."""
        return hmac.compare_digest(signature, self.sign(data, name))
