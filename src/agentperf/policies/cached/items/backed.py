"""Items in a backend that keeps bytes: one round trip to look, one to store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from agentperf.errors import UncacheableValueError
from agentperf.policies.cached.backed.layer import BackedLayer
from agentperf.policies.cached.backed.packing import NOTHING, Packed
from agentperf.policies.cached.flights.flight import Flight
from agentperf.policies.cached.items.calls import PerItem
from agentperf.policies.cached.items.layer import Answer, Answers, ItemsLayer, Want
from agentperf.policies.cached.state import Recording
from agentperf.policies.cached.tags.seals import Stamp, look_all, sealed, settled
from agentperf.policies.cached.tags.versions import marker_key


class BackedItems(ItemsLayer, BackedLayer):
    """A cache whose entries are the results for single items, as bytes somewhere else.

    Args:
        per_item: Which parameter takes the items.
        layer: What `BackedLayer` takes.
    """

    def __init__(self, per_item: PerItem, *layer: Any, **more: Any) -> None:
        super().__init__(*layer, **more)
        self.per_item = per_item

    async def _find(self, wants: Sequence[Want]) -> Answers:
        tags = {cast(str, want.key): self._tags_of(*want.call) for want in wants}
        answers: Answers = {}
        for want in wants:
            want.stamp = None  # not to be kept, unless the versions of its tags are found
        try:
            found = await look_all(self._reach, tags)
            for want in wants:
                key = cast(str, want.key)
                entry = found[key]
                if entry.void:
                    next(self._voids)
                answer = self._read(key, entry.data)
                if entry.data is None or answer is NOTHING or isinstance(answer, Recording):
                    continue
                answers[want.key] = Answer(answer, Packed(key, entry.data))
            missing = [want for want in wants if want.key not in answers]
            if missing:
                union = {tag: None for want in missing for tag in tags[cast(str, want.key)]}
                known = found[cast(str, missing[0].key)].versions
                versions = await settled(self._reach, union, known)
                for want in missing:
                    markers = map(marker_key, tags[cast(str, want.key)])
                    # Of its own tags alone: another batch with this item has the same stamp.
                    want.stamp = Stamp({marker: versions[marker] for marker in markers}, {})
        except Exception as error:  # noqa: BLE001 - the reach has told of it
            self._pass_over(error)
        return answers

    async def _keep_all(self, landed: Sequence[tuple[Flight, Any]]) -> list[Any]:
        kept: list[Any] = []
        good: list[tuple[Flight, bytes]] = []
        now = self._now()
        for flight, value in landed:
            self._state.loaded((now - flight.began) / len(landed))
            packed = self._packed(flight, value)
            if (refusal := self._refusal(flight, value)) is not None:
                self._refuse(refusal)
            elif packed is not None and flight.stamp is not None:
                good.append((flight, packed.data))
            kept.append(packed)
        if good and self._reach.works:
            await self._put_all(good)
        return kept

    async def _put_all(self, packed: list[tuple[Flight, bytes]]) -> None:
        life = self._state.freshness.life(packed[0][0].control.ttl)
        valid: dict[str, bytes] = {}
        try:
            for flight, data in packed:
                versions = await self._versions(flight)
                if flight.valid and versions is not None:
                    valid[cast(str, flight.key)] = sealed(versions, data)
            await self._reach.set_many(valid, life)
        except UncacheableValueError:  # of which of them, nobody says
            for flight, data in packed:
                await self._put(flight, data)
            return
        except Exception:  # noqa: BLE001 - the reach has told of it, and there are answers
            return
        for flight, _ in packed:
            key = cast(str, flight.key)
            if flight.valid and key in valid:
                next(self._puts)
                continue
            if key in valid:  # invalidated while it was being stored
                await self._dropped(key)
            self._refuse("it was invalidated while it was computed")

    async def _dropped(self, key: str) -> None:
        try:
            await self._reach.delete(key)
        except Exception:  # noqa: BLE001 - the reach has told of it, and there are answers
            return
