"""Make one decorator of several, and use it on many functions."""

from __future__ import annotations

import agentperf

upstream = agentperf.stack(agentperf.timed(), agentperf.cached(ttl="5m"))


@upstream
def search(query: str) -> list[str]:
    """Stand in for a search."""
    return [f"a page about {query}"]


@upstream
async def answer(question: str) -> str:
    """Stand in for a model."""
    return question.upper()


def main() -> None:
    """Call one of them and show that each has a pipeline and a cache of its own."""
    search("rivers")
    search("rivers")
    for function in (search, answer):
        handle = agentperf.handle(function)
        print(handle)
        print(handle.cache.stats())


if __name__ == "__main__":
    main()
