"""Measure a stream to its first piece and between pieces, and replay it from the cache."""

from __future__ import annotations

import time
from collections.abc import Generator

import agentperf


@agentperf.timed
@agentperf.cached(ttl="10m")
def answer(question: str) -> Generator[str, None, None]:
    """Stand in for a model that takes a while to begin."""
    time.sleep(0.05)
    for word in f"you asked me: {question}".split():
        yield word
        time.sleep(0.01)


def main() -> None:
    """Read a stream twice to its end, and another one only in part."""
    for _ in range(2):
        print(*answer("what is new?"))

    stopped = answer("who are you?")
    print(next(stopped), "... and enough")
    stopped.close()

    figures = agentperf.handle(answer).stats()
    cache = agentperf.handle(answer).cache
    print(figures)
    print(f"slowest first piece after {figures.first_item.max * 1000:.0f} ms")
    print(f"slowest gap between two pieces {figures.gaps.max * 1000:.0f} ms")
    print(cache.stats())
    print("read to its end and kept:", cache.peek("what is new?"))
    print("stopped and not kept:", cache.peek("who are you?"))


if __name__ == "__main__":
    main()
