"""Keeps what is cached for one tenant, user or session from all others."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from agentperf._engine.scope import active
from agentperf.policies.cached.options import Partition
from agentperf.policies.cached.state import KeyOf

_DEPTH: dict[Partition, int] = {"none": 0, "auto": 1, "tenant": 1, "user": 2, "session": 3}

SCOPED = object()
"""Equal to nothing that an argument can be frozen to: nobody can ask for a tenant's entry."""


def partition_of(by: Partition) -> Callable[[], tuple[str | None, ...] | None] | None:
    """Return what tells whose entries a call may see; None where all share them.

    `"auto"` and `"tenant"` keep a tenant's entries from other tenants; `"user"` and `"session"`
    keep them from the tenant's other users and sessions too.
    """
    depth = _DEPTH[by]
    if depth == 0:
        return None

    def current() -> tuple[str | None, ...] | None:
        scope = active.get()
        partition = (scope.tenant, scope.user, scope.session)[:depth]
        return partition if any(partition) else None

    return current


def partitioned(key_of: KeyOf, by: Partition) -> KeyOf:
    """Keep the keys of different scopes apart."""
    current = partition_of(by)
    if current is None:
        return key_of

    def within_scope(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        partition = current()
        key = key_of(args, kwargs)
        return key if partition is None else (SCOPED, *partition, key)

    return within_scope
