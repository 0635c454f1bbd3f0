"""Try again where that may help: lost connections, overload, and rate limits when they are over."""

from __future__ import annotations

from types import SimpleNamespace

import agentperf
from agentperf.testing import FakeClock, fail, faulty, fresh_host


class TooManyRequests(Exception):
    """Stand in for a client's error on a 429 that says when to come back."""

    status_code = 429
    response = SimpleNamespace(headers={"Retry-After": "7"})


def complete(prompt: str) -> str:
    """Stand in for a model."""
    return prompt.upper()


def main() -> None:
    """Meet a lost connection, a rate limit and a wrong request; pauses take no real time here."""
    with fresh_host(FakeClock()):
        shaky = faulty(complete, fail(ConnectionError), fail(TooManyRequests))
        patient = agentperf.retry(attempts=4, total="20s")(shaky)
        print(patient("what is new?"))
        for decision in agentperf.handle(patient).recent():
            print(decision)

        wrong = agentperf.retry(faulty(complete, fail(TypeError("no prompt"))))
        try:
            wrong("")
        except TypeError as error:
            print(f"not retried: {error}")


if __name__ == "__main__":
    main()
