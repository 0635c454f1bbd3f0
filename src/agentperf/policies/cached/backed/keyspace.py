"""Keys as text, for backends: the same in every process, and nobody else's."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Hashable

from agentperf._base.keys import Unkeyable, digest, digester, freeze
from agentperf._engine.site import Target
from agentperf.errors import ConfigurationError
from agentperf.policies.cached.state import KeyOf

_FORMAT = "ap1"
"""The version of the keys' form: another one finds nothing of this one's."""

_READABLE = 80


class Keyspace:
    """The part of a backend that belongs to one cache.

    A key is `ap1:<name>:<16 hex>:<40 hex>`: the cache's name as far as it is plain text, for those
    who look into the backend; a digest of the whole name; a digest of name, scope and arguments.

    Attributes:
        prefix: What all its keys begin with, and no other cache's.

    Args:
        target: The function.
        name: The name that the cache is shared by, if any.
        shared: Whether other processes see the keys.

    Raises:
        ConfigurationError: Other processes couldn't tell the function from another one.
    """

    def __init__(self, target: Target, name: str | None, *, shared: bool) -> None:
        self._identity: tuple[str, ...] = ("operation", target.operation)
        if name is not None:
            self._identity = ("name", name)
        elif "<" in target.operation:  # `<locals>` or `<lambda>`: there may be many of that name
            if shared:
                raise ConfigurationError(
                    f"{target.operation} can't be told from other functions of that name by the "
                    f'other users of its backend: give the cache a name, cached(..., name="search")'
                )
            self._identity = ("operation", target.operation, secrets.token_hex(8))
        readable = re.sub(r"[^A-Za-z0-9_.-]", "_", name or target.operation)[:_READABLE]
        self.prefix = f"{_FORMAT}:{readable}:{digest(self._identity)[:16]}:"

    def keys(self, key_of: KeyOf, partition: Callable[[], Hashable] | None) -> KeyOf:
        """Return what makes the keys of calls, as text.

        Args:
            key_of: Makes the structured keys.
            partition: Tells whose entries the call may see.
        """
        prefix = self.prefix
        if partition is None:
            digest_of = digester(self._identity, None)
            return lambda args, kwargs: prefix + digest_of(key_of(args, kwargs))
        digest_anybodys = digester(self._identity)
        return lambda args, kwargs: prefix + digest_anybodys(partition(), key_of(args, kwargs))


def named_instance(instance: object) -> Hashable:
    """Refuse an instance as part of a key that others read; a class goes by its name.

    Raises:
        Unkeyable: It is no class, and its class doesn't say what it is keyed by.
    """
    if isinstance(instance, type):
        return freeze(instance)
    raise Unkeyable(
        "other processes can't know it: its class has to say what it is keyed by, such as "
        "def __agentperf_key__(self): return self.model"
    )
