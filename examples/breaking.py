"""Leave an upstream alone while it fails, and answer something else meanwhile."""

from __future__ import annotations

import agentperf
from agentperf import events
from agentperf.testing import FakeClock, fail, faulty, fresh_host


def ask(question: str) -> str:
    """Stand in for a model."""
    return question.upper()


def sorry(question: str) -> str:
    """Answer while the upstream is left alone."""
    return f"Can't say now: {question}"


def show(event: events.Event) -> None:
    """Print how the breaker changes, and why."""
    if isinstance(event, events.CircuitChanged):
        print(f"  {event.old} -> {event.new}: {event.reason}, {event.failure_rate:.0%} failed")


def main() -> None:
    """Let five calls fail, wait, and see it recover."""
    clock = FakeClock()
    with fresh_host(clock) as host:
        host.subscribe(show, events.CircuitChanged)
        breaker = agentperf.circuit_breaker(
            window=10, minimum_calls=5, open_for="30s", probes=1, fallback=sorry
        )
        guarded = breaker(faulty(ask, *[fail(ConnectionError)] * 5))
        for _ in range(5):
            try:
                guarded("what is new?")
            except ConnectionError:
                print("failed")
        print(guarded("what is new?"))
        clock.advance("40s")
        print(guarded("what is new?"))
        print(agentperf.handle(guarded).breaker.state())


if __name__ == "__main__":
    main()
