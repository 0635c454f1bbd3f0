"""Keeps what is cached for one tenant, user or session from all others."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from agentperf._engine.scope import active
from agentperf.policies.cached.options import Partition
from agentperf.policies.cached.state import KeyOf

_DEPTH: dict[Partition, int] = {"none": 0, "auto": 1, "tenant": 1, "user": 2, "session": 3}

_SCOPED = object()
"""Equal to nothing that an argument can be frozen to: nobody can ask for a tenant's entry."""


def partitioned(key_of: KeyOf, by: Partition) -> KeyOf:
    """Keep the keys of different scopes apart.

    `"auto"` and `"tenant"` keep a tenant's entries from other tenants; `"user"` and `"session"`
    keep them from the tenant's other users and sessions too.
    """
    depth = _DEPTH[by]
    if depth == 0:
        return key_of

    def within_scope(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        scope = active.get()
        partition = (scope.tenant, scope.user, scope.session)[:depth]
        key = key_of(args, kwargs)
        return (_SCOPED, *partition, key) if any(partition) else key

    return within_scope
