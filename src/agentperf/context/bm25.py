"""Ranking by BM25, with a share of each score lent to the neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agentperf.context.words import reader

_SATURATION = 1.2
_LENGTH = 0.75

_TO_LATER = (0.5, 0.3, 0.2, 0.1)
_TO_EARLIER = (0.4, 0.3, 0.2, 0.1)
"""Shares of a score that go to the passages at a distance of one to four."""


def rank(query: str, passages: Sequence[str]) -> list[float]:
    """Score passages for a query: the higher, the nearer; 0.0 means no word in common.

    Okapi BM25 (S. Robertson and H. Zaragoza, The Probabilistic Relevance Framework: BM25 and
    Beyond, 2009) with an idf that is never negative. One query needs no index: the time is that
    of reading the passages once.
    """
    terms = reader()
    spread = dict.fromkeys(terms(query), 0)
    if not spread:
        return [0.0] * len(passages)
    counts: list[dict[str, int]] = []
    lengths: list[int] = []
    for passage in passages:
        words = terms(passage)
        found: dict[str, int] = {}
        for word in words:
            if word in spread:
                found[word] = found.get(word, 0) + 1
        for word in found:
            spread[word] += 1
        counts.append(found)
        lengths.append(len(words))
    rarity = {word: math.log1p((len(passages) - n + 0.5) / (n + 0.5)) for word, n in spread.items()}
    mean = sum(lengths) / max(len(passages), 1) or 1.0
    return [
        sum(rarity[word] * _weight(n, length / mean) for word, n in found.items())
        for found, length in zip(counts, lengths, strict=True)
    ]


def _weight(count: int, length: float) -> float:
    """Weigh how often a term is in a passage, given its length in mean lengths."""
    return count * (_SATURATION + 1) / (count + _SATURATION * (1 - _LENGTH + _LENGTH * length))


def lend(scores: Sequence[float]) -> list[float]:
    """Let each score lend a share to the passages around it, more to those that come after.

    What answers a question often stands beside the words that match it. The shares are good for
    dialogue; the optimum is flat.
    """
    lent = list(scores)
    for at, score in enumerate(scores):
        if score:
            for place, share in enumerate(_TO_LATER, at + 1):
                if place < len(lent):
                    lent[place] += share * score
            for distance, share in enumerate(_TO_EARLIER, 1):
                if at >= distance:
                    lent[at - distance] += share * score
    return lent
