"""Items in the memory of the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentperf._engine.site import Site
from agentperf.policies.cached.flights.flight import Flight
from agentperf.policies.cached.items.calls import PerItem
from agentperf.policies.cached.items.layer import Answer, Answers, ItemsLayer, Want
from agentperf.policies.cached.memory.layer import MemoryLayer
from agentperf.policies.cached.memory.store import NO_ENTRY
from agentperf.policies.cached.state import CacheState, KeyOf
from agentperf.policies.cached.tags.naming import TagsOf


class MemoryItems(ItemsLayer, MemoryLayer):
    """A cache whose entries are the results for single items.

    Args:
        per_item: Which parameter takes the items.
        site: The function's place in its pipeline.
        state: What the cache remembers here.
        key: Makes the keys.
        tags_of: Gives the tags of calls.
    """

    def __init__(
        self, per_item: PerItem, site: Site, state: CacheState, key: KeyOf, tags_of: TagsOf
    ) -> None:
        super().__init__(site, state, key, tags_of)
        self.per_item = per_item

    async def _find(self, wants: Sequence[Want]) -> Answers:
        answers: Answers = {}
        entries: Any = self._state.store.entries
        for want in wants:
            entry = entries.get(want.key, NO_ENTRY)
            if self._fresh(entry):
                answers[want.key] = Answer(self._given(entry), entry)
            else:
                want.stamp = await self._stamp(self._tags_of(*want.call))
        return answers

    async def _keep_all(self, landed: Sequence[tuple[Flight, Any]]) -> list[Any]:
        now = self._now()
        for flight, _ in landed:  # what an item costs is its share of what they took together
            flight.began = now - (now - flight.began) / len(landed)
        return await super()._keep_all(landed)
