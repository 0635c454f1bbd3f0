"""Items in the memory of the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agentperf._engine.site import Site
from agentperf.policies.cached.items.calls import PerItem
from agentperf.policies.cached.items.layer import Answer, Answers, ItemsLayer, Want
from agentperf.policies.cached.memory.layer import MemoryLayer, StampOf
from agentperf.policies.cached.memory.store import NO_ENTRY
from agentperf.policies.cached.state import CacheState, KeyOf


class MemoryItems(ItemsLayer, MemoryLayer):
    """A cache whose entries are the results for single items.

    Args:
        per_item: Which parameter takes the items.
        site: The function's place in its pipeline.
        state: What the cache remembers here.
        key: Makes the keys.
        stamp_of: Gives the versions that the tags of a call have now; None without tags.
    """

    def __init__(
        self, per_item: PerItem, site: Site, state: CacheState, key: KeyOf, stamp_of: StampOf | None
    ) -> None:
        super().__init__(site, state, key, stamp_of)
        self.per_item = per_item

    async def _find(self, wants: Sequence[Want]) -> Answers:
        answers: Answers = {}
        entries: Any = self._state.store.entries
        for want in wants:
            entry = entries.get(want.key, NO_ENTRY)
            if self._fresh(entry):
                answers[want.key] = Answer(self._given(entry), entry)
            else:
                want.stamp = await self._stamp(*want.call)
        return answers
