"""Count and measure the calls of a function, and see how they ended."""

from __future__ import annotations

import time

import agentperf


@agentperf.timed(slow="50ms")
def search(query: str) -> list[str]:
    """Stand in for a search that takes longer for longer queries."""
    if not query:
        raise ValueError("nothing to search for")
    time.sleep(len(query) / 1000)
    return [f"a page about {query}"]


def main() -> None:
    """Search a few times and print the figures."""
    for query in ["rivers", "rivers", "bridges over rivers", ""]:
        try:
            search(query)
        except ValueError as error:
            print(f"{query!r}: {error}")

    figures = agentperf.handle(search).stats()
    print(figures)
    print(f"{figures.completed} completed, {figures.failed} failed: {dict(figures.errors)}")
    print(f"half of them within {figures.p50 * 1000:.0f} ms, the longest {figures.max * 1000:.0f}")


if __name__ == "__main__":
    main()
