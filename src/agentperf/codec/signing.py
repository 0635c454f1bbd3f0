"""Signatures: a keyed BLAKE2b over all that is read, and over the name it is stored under."""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import blake2b

from agentperf.errors import ConfigurationError

SIZE = 16
"""Bytes of a signature."""

SHORTEST = 16
"""Bytes that a secret has at least."""

_PERSON = b"agentperf codec"


class Signer:
    """Signs with one secret, and checks with it and those that came before it.

    Args:
        secret: At least 16 bytes, or a text of as many; several in a list, the one that signs
            first.

    Raises:
        ConfigurationError: A secret is of another type, or shorter.
    """

    def __init__(self, secret: str | bytes | Sequence[str | bytes]) -> None:
        secrets = [secret] if isinstance(secret, str | bytes) else secret
        if not isinstance(secrets, list | tuple) or not secrets:
            raise ConfigurationError(
                f"secret: text or bytes, not {type(secret).__name__}; "
                'an example: Codec(secret=os.environ["CACHE_SECRET"])'
            )
        self._keys = [_key_of(one) for one in secrets]

    def sign(self, data: bytes, name: bytes) -> bytes:
        """Give the signature of `data` as stored under `name`."""
        return _signed(self._keys[0], data, name)

    def verify(self, signature: bytes, data: bytes, name: bytes) -> bool:
        """Whether a signature is that of `data` under `name`; takes the same time either way."""
        matches = [hmac.compare_digest(signature, _signed(key, data, name)) for key in self._keys]
        return any(matches)


def _key_of(secret: object) -> bytes:
    if not isinstance(secret, str | bytes):
        raise ConfigurationError(
            f"secret: text or bytes, not {type(secret).__name__}; "
            'an example: Codec(secret=os.environ["CACHE_SECRET"])'
        )
    raw = secret.encode() if isinstance(secret, str) else secret
    if len(raw) < SHORTEST:
        raise ConfigurationError(
            f"secret: at least {SHORTEST} bytes, not {len(raw)}; "
            "one can be made with: python -c 'import secrets; print(secrets.token_hex())'"
        )
    return blake2b(raw, person=_PERSON).digest()


def _signed(key: bytes, data: bytes, name: bytes) -> bytes:
    made = blake2b(key=key, digest_size=SIZE, person=_PERSON)
    made.update(len(name).to_bytes(8, "little"))
    made.update(name)
    made.update(data)
    return made.digest()
