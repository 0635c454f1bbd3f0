"""What agentperf itself offers, in the form of a plugin."""

from __future__ import annotations

from collections.abc import Mapping

from agentperf.abc.backends import BackendFactory, CacheBackend
from agentperf.abc.stores import Store, StoreFactory
from agentperf.hookspecs import hookimpl


class Builtin:
    """agentperf's own plugin."""

    AGENTPERF_HOOKSPECS = "1.0"

    @hookimpl
    def agentperf_cache_backends(self) -> Mapping[str, BackendFactory]:
        """Offer memory, to which `cached` takes a shorter way, and a file on disk."""
        return {"memory": _memory, "sqlite": _sqlite}

    @hookimpl
    def agentperf_stores(self) -> Mapping[str, StoreFactory]:
        """Offer a file, for the processes of one machine."""
        return {"sqlite": _sqlite_store}


def _memory(_: str) -> CacheBackend:
    from agentperf.policies.cached.memory.backend import MemoryBackend

    return MemoryBackend()


def _sqlite(text: str) -> CacheBackend:
    from agentperf._engine.sqlite.address import Address
    from agentperf.policies.cached.sqlite import SqliteBackend

    address = Address.read(text)
    return SqliteBackend(address.path, address.max_bytes)


def _sqlite_store(text: str) -> Store:
    from agentperf._engine.sqlite.address import Address
    from agentperf._engine.sqlite.store import SqliteStore

    return SqliteStore(Address.of_store(text).path)
