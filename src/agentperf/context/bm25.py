"""Ranking by BM25, with a share of each score lent to the neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence

from agentperf.context.words import reader

_SATURATION = 1.2
_LENGTH = 0.75
_TO_NEXT = 0.5
_TO_PREVIOUS = 0.3


def rank(query: str, passages: Sequence[str]) -> list[float]:
    """Score passages for a query: the higher, the nearer; 0.0 means no word in common.

    Okapi BM25 (S. Robertson and H. Zaragoza, The Probabilistic Relevance Framework: BM25 and
    Beyond, 2009) with the idf that is never negative. One query needs no index: the time is that
    of reading the passages once.
    """
    terms = reader()
    wanted = dict.fromkeys(terms(query), 0)
    counts: list[dict[str, int]] = []
    lengths: list[int] = []
    for passage in passages:
        words = terms(passage)
        found: dict[str, int] = {}
        for word in words:
            if word in wanted:
                found[word] = found.get(word, 0) + 1
        for word in found:
            wanted[word] += 1
        counts.append(found)
        lengths.append(len(words))
    total = len(passages)
    rarity = {word: math.log1p((total - n + 0.5) / (n + 0.5)) for word, n in wanted.items()}
    mean = sum(lengths) / total if any(lengths) else 1.0
    return [
        sum(
            rarity[word] * n * (_SATURATION + 1) / (n + _SATURATION * (1 - _LENGTH + _LENGTH * size / mean))
            for word, n in found.items()
        )
        for found, size in zip(counts, lengths, strict=True)
    ]


def lend(scores: Sequence[float]) -> list[float]:
    """Let each score lend a share to the passage after it and the one before it.

    What answers a question often stands beside the words that match it. The shares were found on
    dialogue, where anything near them does as well.
    """
    before = [0.0, *scores[:-1]]
    after = [*scores[1:], 0.0]
    return [
        own + _TO_NEXT * previous + _TO_PREVIOUS * following
        for own, previous, following in zip(scores, before, after, strict=True)
    ]
