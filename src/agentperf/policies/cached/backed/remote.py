"""A cache in a backend: what its keys, its bytes and its way to the backend are."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING

from agentperf._base.keys import InstanceTokens
from agentperf._engine.hosting import Host
from agentperf._engine.loops import LoopWaiting
from agentperf._engine.site import Site, Target
from agentperf.abc.backends import Backends
from agentperf.abc.waiting import Waiting
from agentperf.config.settings import Secrets
from agentperf.policies.cached.backed.dates import Dates
from agentperf.policies.cached.backed.identity import named_instance
from agentperf.policies.cached.backed.keyspace import Keyspace
from agentperf.policies.cached.backed.layer import BackedLayer, BackendContents
from agentperf.policies.cached.backed.lease import Leases
from agentperf.policies.cached.backed.packing import Packing, Reading
from agentperf.policies.cached.backed.reach import Reach, check_colour, guard_of
from agentperf.policies.cached.options import CacheOptions
from agentperf.policies.cached.partition import partition_of
from agentperf.policies.cached.state import CacheState, KeyOf
from agentperf.policies.cached.tags.naming import TagsOf

if TYPE_CHECKING:
    from agentperf.policies.cached.tiered import NearStats


class Remote:
    """One cached function in front of one backend.

    Args:
        backends: The backend.
        target: The function.
        options: The options of its cache.
        name: The name that the cache is shared by, if any.
        make_key: Makes what makes structured keys, from what makes the key of an instance.

    Raises:
        ConfigurationError: The function needs a name, or has the wrong colour.
    """

    def __init__(
        self,
        backends: Backends,
        target: Target,
        options: CacheOptions,
        name: str | None,
        make_key: Callable[[Callable[[object], object]], KeyOf],
    ) -> None:
        check_colour(target.operation, backends, is_async=target.shape.is_async)
        self._backends = backends
        self._target = target
        self._options = options
        self._make_key = make_key
        self._keyspace = Keyspace(target, name, shared=backends.shared)
        self._leased = backends.shared and backends.atomic
        self._packings: dict[Secrets, Packing] = {}

    def _packing(self, host: Host) -> Packing:
        """Return what makes bytes of answers; what others can write to is signed."""
        secrets = host.settings.cache_secret if self._backends.shared else Secrets()
        if (packing := self._packings.get(secrets)) is None:
            function, codec = self._target.function, self._options.codec
            packing = self._packings[secrets] = Packing(function, codec, secrets.reveal())
        return packing

    @functools.cached_property
    def _structured(self) -> KeyOf:
        return self._make_key(named_instance if self._backends.shared else InstanceTokens())

    def key_of(self, host: Host) -> KeyOf:
        """Return what makes the keys of calls, as text."""
        minds = host.bindings.minds_scopes
        return self._keyspace.keys(
            self._structured, partition_of(self._options.scope) if minds else None
        )

    def layer(
        self,
        site: Site,
        state: CacheState,
        tags_of: TagsOf,
        make: Callable[..., BackedLayer] = BackedLayer,
    ) -> BackedLayer:
        """Return the cache of one place in a pipeline."""
        waiting = site.waiting if site.driver.is_async else None
        reach = self._reach(site.host, site.operation, waiting)
        key_of = self.key_of(site.host)
        leases = Leases(site, reach) if self._leased else None
        packing = self._packing(site.host)
        return make(site, state, key_of, reach, packing, tags_of=tags_of, leases=leases)

    def contents(self, host: Host, state: CacheState, *, is_async: bool) -> BackendContents:
        """Return what the handle can do there.

        Raises:
            ConfigurationError: The backend has to be awaited, and the caller can't.
        """
        waiting = LoopWaiting(host.clock) if is_async else None
        reach = self._reach(host, self._target.operation, waiting)
        dates = Dates(state.freshness, host.clock.wall)
        packing = self._packing(host)
        reading = Reading(host, self._target.operation, state, packing)
        return BackendContents(
            reach,
            packing,
            reading,
            prefix=self._keyspace.prefix,
            dates=dates,
            leased=self._leased,
        )

    def trouble(self, host: Host) -> str:
        """Return the name of the error that the backend failed with, while it is out of order."""
        guard = guard_of(host, self._backends)
        return "" if guard.works else guard.trouble

    def near_stats(self) -> NearStats | None:
        """Return the figures of the memory in front of the backend; None where there is none."""
        from agentperf.policies.cached.tiered import Tiered  # it stands on this folder

        return self._backends.near_stats() if isinstance(self._backends, Tiered) else None

    def _reach(self, host: Host, operation: str, waiting: Waiting | None) -> Reach:
        local = self._options.on_store_failure == "local"
        return Reach(host, operation, self._backends, waiting, local=local)
