"""One computation for all processes: a lease in the backend, beside the entry it is for.

Under the lease's key stands the *token* of the one process that computes. It renews the lease while
it works, and stores its answer only where its token still stands. What it leaves behind tells those
who wait what became of it: `DONE`, the answer is there; `UNSTORED`, there is none that could be
stored, so that everybody has to compute for himself; nothing, somebody else is to go on.
"""

from __future__ import annotations

import contextlib
import random
import secrets
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Any, cast

from agentperf._base.keys import digest
from agentperf._engine.renewing import Renewer, renewing
from agentperf._engine.site import Site
from agentperf.policies.cached.backed.reach import Reach
from agentperf.policies.cached.flights.flight import ELSEWHERE, Flight, works_for_others
from agentperf.policies.cached.tags.seals import sealed
from agentperf.policies.cached.tags.versions import Versions

LASTS = 5.0
"""Seconds after which a lease lapses unless it is renewed."""

TURNS = 3
"""How often it is renewed in that time."""

LONGEST = 900.0
"""Seconds for which a lease is renewed, and waited for, at most: a holder may be stuck."""

PATIENCE = 30.0
"""Seconds that those wait who compute for others meanwhile: they may wait for each other."""

MARK_LASTS = 2.0
"""Seconds for which a mark stays: all who wait look much more often."""

DONE, UNSTORED = b"d", b"u"

_FIRST_DELAY, _LONGEST_DELAY = 0.01, 0.2
_TRIES = 10
_STAMP = 16


def lease_key(key: str) -> str:
    """Return the key of the lease of an entry; what clears the entry clears it too."""
    return f"{key}:l"


class Lease:
    """The right to compute what stands under a key, and to store it.

    Args:
        reach: The backend.
        key: What is computed.
        stamp: What tells the versions of its tags.

    Attributes:
        lost: Whether somebody else has it now.
        over: Whether nothing is left to be done with it.
    """

    def __init__(self, reach: Reach, key: str, stamp: str) -> None:
        self._reach = reach
        self._entry = key
        self._key = lease_key(key)
        self._stamp = stamp.encode()
        self._token = self._stamp + secrets.token_bytes(16)
        self._renewals = round(LONGEST * TURNS / LASTS)
        self.lost = False
        self.over = False
        self.stop: Callable[[], object] = _nothing
        """Ends the renewing."""

    def may_follow(self, stands: bytes | None) -> bool:
        """Whether it may take the place of what stands there.

        Nobody waits for a computation that began under other versions of the tags: its result
        would not be good.
        """
        return stands is None or stands == DONE or stands[:_STAMP] != self._stamp

    async def acquired(self, stands: bytes | None) -> bool:
        """Take the place of what stands there; False where something else does by now."""
        if stands is None:
            return await self._reach.add(self._key, self._token, LASTS)
        return await self._reach.replace(self._key, stands, self._token, LASTS)

    async def standing(self) -> bytes | None:
        """Return what stands there."""
        return await self._reach.latest(self._key)

    async def renew(self) -> bool:
        """Keep it for longer; False once that can't be done any more."""
        with contextlib.suppress(Exception):  # the reach has told of it; there is another turn
            self.lost = not await self._reach.replace(self._key, self._token, self._token, LASTS)
        self._renewals -= 1
        return self._renewals > 0 and not (self.lost or self.over)

    async def store(self, data: bytes, life: float | None) -> bool:
        """Store the answer and let go, in one step; False if somebody else has the lease.

        Raises:
            Exception: What the backend raises.
        """
        self.stop()
        stored = not self.lost and await self._reach.set_if(
            self._entry,
            data,
            life,
            guard=self._key,
            token=self._token,
            mark=DONE,
            mark_ttl=MARK_LASTS,
        )
        self.lost, self.over = not stored, True
        return stored

    async def leave(self, *, unstored: bool) -> None:
        """Let go without an answer: for the next one, or, if `unstored`, for everybody."""
        self.stop()
        if self.lost or self.over:
            return
        self.over = True
        with contextlib.suppress(Exception):  # the reach has told of it, and it lapses
            if unstored:
                await self._reach.replace(self._key, self._token, UNSTORED, MARK_LASTS)
            else:
                await self._reach.delete_if(self._key, self._token)


class Leases:
    """Takes the leases of one cache and gives them back.

    Args:
        site: The function's place in its pipeline.
        reach: The backend, which other processes use and which does what it does in one step.
    """

    def __init__(self, site: Site, reach: Reach) -> None:
        self._site = site
        self._reach = reach
        self._waiting = site.waiting

    async def taken(self, flight: Flight, fresh: Callable[[], Awaitable[object | None]]) -> Any:
        """Take the lease of what a flight computes, as `flight.lease`; wait while others have it.

        Whoever must not wait, or finds the lease in trouble, computes without one.

        Args:
            flight: The flight. One that renews ahead doesn't wait.
            fresh: Looks for the answer.

        Returns:
            The answer, if another process made it meanwhile. `ELSEWHERE`, if one is at it, or was,
            and nobody waits for this flight. None: it has to be computed.
        """
        if flight.stamp is None or not self._reach.works:
            return None  # it can't be stored
        lease = Lease(self._reach, cast(str, flight.key), _stamp(flight.stamp.versions))
        try:
            return await self._taken(lease, flight, fresh)
        except Exception:  # noqa: BLE001 - the reach has told of it
            flight.lease = None
            return None

    async def _taken(
        self, lease: Lease, flight: Flight, fresh: Callable[[], Awaitable[object | None]]
    ) -> Any:
        delays, tries = self._delays(), 0
        stands: bytes | None = None
        while True:
            if lease.may_follow(stands):
                flight.lease = lease  # before it is: should this be cancelled, it is let go
                if await lease.acquired(stands):
                    await self._hold(lease)
                    return None
                flight.lease = None
                if (tries := tries + 1) == _TRIES:
                    return None
            elif flight.renews:
                return ELSEWHERE
            elif (delay := next(delays, None)) is None:
                return None
            else:
                await self._waiting.sleep(delay)
            stands = await lease.standing()
            # A stream gives its lease up when it begins, and may be there by now all the same.
            if stands in (DONE, UNSTORED) and (answer := await fresh()) is not None:
                return answer
            if stands == UNSTORED:
                return ELSEWHERE if flight.renews else None

    def _delays(self) -> Iterator[float]:
        """Give the times to wait between two looks."""
        if self._waiting.holds_a_loop():
            return
        now = self._waiting.now
        until = now() + (PATIENCE if works_for_others() else LONGEST)
        delay = _FIRST_DELAY
        while now() < until:
            yield delay * random.uniform(0.5, 1.0)
            delay = min(2 * delay, _LONGEST_DELAY)

    async def _hold(self, lease: Lease) -> None:
        """Have a lease renewed: beside a task by another one, for a busy thread by a thread."""
        if self._site.driver.is_async:
            work = partial(renewing, lease, LASTS / TURNS, self._waiting)
            lease.stop = await self._waiting.detached(work)
            return
        make = partial(Renewer, self._site.host.clock, LASTS / TURNS)
        renewer = self._site.host.state(Renewer, make, owners=(), name="leases")
        renewer.hold(lease)
        lease.stop = partial(renewer.drop, lease)

    async def left(self, flight: Flight) -> None:
        """Let go of what a flight held that came to its end."""
        lease = cast(Lease, flight.lease)
        if flight.landed or isinstance(flight.error, Exception):
            # Where it was invalidated, the next computation may well be stored.
            await lease.leave(unstored=flight.valid)
            return
        # Cancelled: here nothing can be waited for any more.
        with contextlib.suppress(Exception):
            await self._waiting.detached(partial(lease.leave, unstored=False))

    async def revoke(self, key: str) -> None:
        """Keep out what others are computing; who waits for it computes anew."""
        with contextlib.suppress(Exception):  # the reach has told of it
            await self._reach.delete(lease_key(key))


def _stamp(versions: Versions) -> str:
    return digest(sealed(versions, b""))[:_STAMP] if versions else "0" * _STAMP


def _nothing() -> None:
    pass
