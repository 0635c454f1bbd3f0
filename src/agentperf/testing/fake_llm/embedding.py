"""Embeddings without a model: texts that share words get vectors that lie close."""

from __future__ import annotations

import hashlib
import math

from agentperf.testing.fake_llm.words import stems

DIMENSIONS = 256
_PLACES_PER_WORD = 4


def embed(text: str, *, dimensions: int = DIMENSIONS, seed: int = 0) -> list[float]:
    """Return a vector of length 1 made of the hashed words of `text`.

    Each word adds 1 or -1 at a few places that its hash picks ("feature hashing", Weinberger et al.
    2009), so the cosine of two texts is about the share of words they have in common.
    """
    vector = [0.0] * dimensions
    for stem in stems(text) or [text]:
        word = f"{seed}:{stem}".encode()
        digest = hashlib.blake2b(word, digest_size=4 * _PLACES_PER_WORD).digest()
        for start in range(0, len(digest), 4):
            bits = int.from_bytes(digest[start : start + 4], "big")
            vector[(bits >> 1) % dimensions] += 1.0 if bits & 1 else -1.0
    length = math.hypot(*vector) or 1.0
    return [value / length for value in vector]
