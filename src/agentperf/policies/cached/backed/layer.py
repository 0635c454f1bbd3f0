"""Answers from a backend that keeps bytes, and what the handle can do there."""

from __future__ import annotations

from collections.abc import Awaitable, Hashable
from functools import partial
from typing import Any, cast

from agentperf._base.log import warn
from agentperf._engine.bindings import Step
from agentperf._engine.layers import Proceed
from agentperf._engine.site import Site
from agentperf._engine.waiting import in_one_go
from agentperf.errors import BackendError, StoreUnavailable, UncacheableValueError
from agentperf.events import CacheInvalidated, Event
from agentperf.policies.cached.backed.dates import Dates
from agentperf.policies.cached.backed.lease import Leases, lease_key
from agentperf.policies.cached.backed.packing import NOTHING, Packed, Packing, Reading
from agentperf.policies.cached.backed.reach import Reach
from agentperf.policies.cached.core import PLAIN, Args, CacheLayer, Kwargs, Look
from agentperf.policies.cached.flights.flight import Flight
from agentperf.policies.cached.flights.recording import replayed
from agentperf.policies.cached.freshness import Standing
from agentperf.policies.cached.state import CacheState, KeyOf, Recording
from agentperf.policies.cached.tags.naming import TagsOf
from agentperf.policies.cached.tags.seals import (
    completed,
    look,
    present,
    sealed,
    settled,
    stamped,
)
from agentperf.policies.cached.tags.versions import Versions


class BackedLayer(CacheLayer):
    """A cache whose entries are bytes somewhere else.

    Args:
        site: The function's place in its pipeline.
        state: What the cache remembers here: flights and figures.
        key: Makes the keys, as text.
        reach: The backend.
        packing: Turns answers into bytes and back.
        tags_of: Gives the tags of calls.
        leases: What has one process compute for all, where others use the backend too.
    """

    def __init__(
        self,
        site: Site,
        state: CacheState,
        key: KeyOf,
        reach: Reach,
        packing: Packing,
        *,
        tags_of: TagsOf,
        leases: Leases | None = None,
    ) -> None:
        super().__init__(site, state, key, tags_of)
        self._leases = leases
        self._reach = reach
        self._packing = packing
        self._read = Reading(site.host, site.operation, state, packing).answer
        self._wall = site.host.clock.wall
        self._dates = Dates(state.freshness, self._wall)

    def bound(self, inner: Step) -> Step:
        """Put the cache in front of `inner`."""
        key_of = self._key
        answer = self._site.driver.flow(self._seek, inner)

        def step(args: Args, kwargs: Kwargs) -> Any:
            return answer(key_of(args, kwargs), args, kwargs)

        return step

    async def _refreshed(self, proceed: Proceed, key: Hashable, args: Args, kwargs: Kwargs) -> Any:
        if self._leases is not None:
            await self._leases.revoke(cast(str, key))
        return await super()._refreshed(proceed, key, args, kwargs)

    async def _found(self, key: Hashable, tags: tuple[str, ...] = ()) -> Look:
        try:
            found = await look(self._reach, cast(str, key), tags)
            data, standing = self._dates.opened(found.data)
            answer = self._read(cast(str, key), data)
        except Exception as error:  # noqa: BLE001 - the reach has told of it
            self._pass_over(error)
            return Look(partial(self._replayed, NOTHING), Standing.GONE, {})
        if found.void:
            next(self._voids)
        if answer is NOTHING:
            standing = Standing.GONE
        return Look(partial(self._replayed, answer), standing, found.versions)

    async def _stamp(self, tags: tuple[str, ...], known: Versions | None = None) -> Any:
        try:
            return await stamped(self._reach, tags, known)
        except Exception as error:  # noqa: BLE001 - the reach has told of it
            self._pass_over(error)
            return None

    def _pass_over(self, error: Exception) -> None:
        """Go on without a backend that fails, as far as that is allowed.

        Raises:
            StoreUnavailable: It isn't.
        """
        if self._state.options.on_store_failure == "closed":
            operation = self._site.operation
            raise StoreUnavailable(
                f"{operation}: the backend of its cache failed, and on_store_failure is 'closed'",
                policy="cached",
                name=self._state.name or operation,
            ) from error

    async def _come_in(self, flight: Flight, looked: int) -> Any:
        if self._leases is not None and not self._site.target.shape.streams:
            return await self._leases.taken(flight, partial(self._fresh, flight))
        if looked == self._flights.ended or not self._reach.works:
            return None  # nobody here can have stored anything since this call looked
        return await self._fresh(flight)

    async def _let_go(self, flight: Flight) -> None:
        if self._leases is not None:
            await self._leases.left(flight)

    async def _fresh(self, flight: Flight) -> Packed | None:
        """Return a good answer that is stored by now."""
        key = cast(str, flight.key)
        try:
            found = await look(self._reach, key)
            data, standing = self._dates.opened(found.data)
        except Exception:  # noqa: BLE001 - the reach has told of it
            return None
        if data is None or standing is not Standing.FRESH:
            return None
        packed = Packed(key, data)
        return packed if self._packing.reads(packed) else None

    def _given(self, kept: Packed) -> Any:
        return self._replayed(self._packing.unpack(kept))

    def _replayed(self, answer: Any) -> Any:
        if type(answer) not in PLAIN:
            self._state.saved(answer)
        if isinstance(answer, Recording):
            return replayed(answer, _itself, self._now)
        return answer

    async def _keep(self, flight: Flight, value: Any, refusal: str | None) -> Packed | None:
        packed = self._packed(flight, value)
        if refusal is not None:
            self._refuse(refusal)
        elif packed is not None:
            await self._put(flight, packed.data)
        return packed

    def _keep_recording(self, reading: Flight, recorded: Recording) -> Awaitable[None] | None:
        packed = self._packed(reading, recorded)
        if packed is None:
            return None
        store = partial(self._put_and_end, reading, packed.data)
        if recorded.is_async:
            return store()
        if not self._site.driver.is_async:
            in_one_go(store())
            return None
        end = partial(self._flights.end, reading)
        try:  # a stream that is read without waiting, in a call that waits
            in_one_go(self._site.waiting.detached(store, end))
        except RuntimeError:  # read in a thread without a loop
            end()
        return None

    async def _put_and_end(self, reading: Flight, data: bytes) -> None:
        try:
            await self._put(reading, data)
        finally:
            self._flights.end(reading)

    def _packed(self, flight: Flight, answer: Any) -> Packed | None:
        try:
            return self._packing.pack(cast(str, flight.key), answer)
        except UncacheableValueError as error:
            self._refuse_uncopyable(error, "it can't be written as bytes")
            return None

    async def _put(self, flight: Flight, data: bytes) -> None:
        if flight.stamp is None or not self._reach.works:
            return  # it was this call's turn to find out when it looked; once is enough
        key, freshness = cast(str, flight.key), self._state.freshness
        life = freshness.life(flight.control.ttl)
        if life is not None:
            data = self._dates.dated(data, life, self._now() - flight.began)
            life += freshness.extra
        try:
            versions = await self._versions(flight)
            if flight.valid and versions is not None:
                sealed_data = sealed(versions, data)
                if flight.lease is None:
                    await self._reach.set(key, sealed_data, life)
                elif not await flight.lease.store(sealed_data, life):
                    self._refuse("another process took its computation over")
                    return
                if flight.valid:
                    self._state.recover(key)
                    next(self._puts)
                    return
                await self._reach.delete(key)  # invalidated while it was being stored
        except UncacheableValueError as error:
            self._refuse_uncopyable(error, "its backend can't store it")
            return
        except Exception:  # noqa: BLE001 - the reach has told of it, and there is an answer
            return
        self._refuse("it was invalidated while it was computed")

    async def _versions(self, flight: Flight) -> Versions | None:
        """Return what to seal an answer with; None where it was invalidated meanwhile."""
        named = flight.control.tags
        if named:
            self._declare()
            if self._flights.named(flight) is None:
                return None
        began = self._wall() - (self._now() - flight.began)
        return await completed(self._reach, flight.stamp, named, began)

    def _declare(self) -> None:
        """Have invalidations reach a backend that nobody said has answers with tags."""
        backends, known = self._reach.backends, self._flights.table.backends
        if backends in known:
            return
        known.add(backends)
        if backends.shared:
            warn(
                "cache.undeclared_tags",
                operation=self._site.operation,
                advice="write tags=() beside backend=: other processes that invalidate read it",
            )


class BackendContents:
    """What the handle can do to the entries of one cache in a backend.

    Args:
        reach: The backend.
        packing: Turns answers into bytes.
        reading: Turns them back.
        prefix: What the keys of the cache begin with.
        dates: Tells which answers are fresh.
        leased: Whether other processes may be computing under a lease.
    """

    def __init__(
        self,
        reach: Reach,
        packing: Packing,
        reading: Reading,
        *,
        prefix: str,
        dates: Dates,
        leased: bool,
    ) -> None:
        self._leased = leased
        self._reach = reach
        self._packing = packing
        self._read = reading.answer
        self._prefix = prefix
        self._dates = dates

    async def peek(self, key: Hashable, default: Any) -> Any:
        """Return the answer under a key, a stream as the tuple of its items."""
        found, _ = await self.get(key, default)
        return found

    async def get(self, key: Hashable, default: Any) -> tuple[Any, type[Event] | None]:
        """Return the same as `peek`, and what became of an entry that is no longer good."""
        found = await _told(look(self._reach, cast(str, key)))
        data, standing = self._dates.opened(found.data)
        answer = self._read(cast(str, key), data)
        if answer is NOTHING or standing not in (Standing.FRESH, Standing.DUE):
            return default, CacheInvalidated if found.void else None
        return answer.items if isinstance(answer, Recording) else answer, None

    async def remove(self, key: Hashable) -> bool:
        """Remove a key; tell whether it was there."""
        return cast(bool, await _told(self._removed(cast(str, key))))

    async def _removed(self, key: str) -> bool:
        removed = await self._reach.delete(key)
        if await self._keep_out(key):  # it may have been stored in between
            removed = await self._reach.delete(key) or removed
        return removed

    async def _keep_out(self, key: str) -> bool:
        """Keep what other processes are computing out of the cache; tell if that may be so."""
        return self._leased and await self._reach.drop(lease_key(key))

    async def store(
        self, key: Hashable, value: Any, ttl: float | None, tags: tuple[str, ...]
    ) -> int:
        """Store a value under a key; backends don't count what makes room.

        Raises:
            UncacheableValueError: It can't be turned into bytes.
        """
        packed = self._packing.pack(cast(str, key), value)
        await _told(self._stored(packed.key, packed.data, ttl, tags))
        return 0

    async def _stored(
        self, key: str, data: bytes, ttl: float | None, tags: tuple[str, ...]
    ) -> None:
        versions = await settled(self._reach, tags, await present(self._reach, tags))
        await self._keep_out(key)
        await self._reach.set(key, sealed(versions, data), ttl)

    async def clear(self) -> int:
        """Remove everything; backends don't count what they clear."""
        await _told(self._reach.clear(self._prefix))
        return 0


async def _told(work: Awaitable[Any]) -> Any:
    """Raise what a backend raises as an error of ours: somebody asked for this very thing.

    Raises:
        BackendError: The backend failed.
    """
    try:
        return await work
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(f"the cache backend failed: {type(error).__name__}") from error


def _itself(value: Any) -> Any:
    return value
