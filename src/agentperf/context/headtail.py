"""The beginning and the end of a text, with a mark between them: the last resort."""

from __future__ import annotations

from agentperf.context.counting import Tokens
from agentperf.context.graphemes import cut_after, cut_before
from agentperf.context.marks import Mark

_TRIES = 12


def shorten(text: str, tokens: Tokens, budget: int) -> str | None:
    """Cut the middle out of a text so that the rest and the mark fit into a budget.

    Returns:
        The shortened text, or None when not even a few characters fit.
    """
    size = tokens(text)
    room = budget - tokens(str(Mark(len(text), "character", size)))
    kept = len(text) * max(room, 0) // max(size, 1)
    for _ in range(_TRIES):
        if kept < 2:
            return None
        head = cut_before(text, kept - kept // 2)
        tail = cut_after(text, len(text) - kept // 2)
        if tail <= head:
            return None
        gone = text[head:tail]
        short = f"{text[:head]}{Mark(len(gone), 'character', tokens(gone))}{text[tail:]}"
        count = tokens(short)
        if count <= budget:
            return short
        # A little more than the share that is over, so that a few tries are enough.
        kept = min(kept - 1, int(kept * budget / count * 0.97))
    return None
