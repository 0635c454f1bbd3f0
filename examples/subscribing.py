"""Listen to what happens, call by call: every policy tells the same bus."""

from __future__ import annotations

import agentperf
from agentperf import events


@agentperf.timed(attributes=lambda question: {"short": len(question) < 10})
@agentperf.cached(ttl="10m")
def answer(question: str) -> str:
    """Answer a question."""
    return question.upper()


def show(event: events.Event) -> None:
    """Print what kind of thing happened, and to whom."""
    print(type(event).__name__, event.operation)


def main() -> None:
    """Print all events of two calls, then only the ends of calls."""
    with agentperf.use(agentperf.Host()) as host:
        stop = host.subscribe(show)
        answer("who?")
        answer("who?")
        stop()

        host.subscribe(lambda ended: print(ended.attributes), events.CallEnded)
        answer("what is new?")


if __name__ == "__main__":
    main()
