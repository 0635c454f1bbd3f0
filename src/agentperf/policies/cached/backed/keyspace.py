"""Keys as text, for backends: the same in every process, and nobody else's."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable

from agentperf._base.keys import digest, digester
from agentperf._engine.site import Target
from agentperf.policies.cached.backed.identity import identity_of
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
        self._identity = identity_of(target, name, shared=shared)
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
