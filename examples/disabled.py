"""Turn agentperf off: for everything, or for one decorator, while the program runs."""

from __future__ import annotations

import itertools
from contextvars import ContextVar

import agentperf

private: ContextVar[bool] = ContextVar("private", default=False)
numbers = itertools.count(1)


@agentperf.timed
@agentperf.cached(ttl="10m", enabled=lambda: not private.get())
def answer(question: str) -> str:
    """Answer a question, with a number that tells whether it was computed."""
    return f"{question}: answer {next(numbers)}"


def main() -> None:
    """Ask the same question with the cache on, past it, and with everything off."""
    print(answer("who?"), "| computed")
    print(answer("who?"), "| from the cache")

    private.set(True)
    print(answer("who?"), "| past the cache, still measured")
    private.set(False)

    agentperf.configure(enabled=False)
    print(answer("who?"), "| everything off")
    agentperf.configure(enabled=True)

    print(answer("who?"), "| from the cache again")
    print(agentperf.handle(answer).stats())


if __name__ == "__main__":
    main()
