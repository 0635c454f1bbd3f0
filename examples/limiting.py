"""Keep within an upstream's limits of requests and tokens, and users within theirs."""

from __future__ import annotations

import agentperf
from agentperf.testing import FakeClock, fresh_host

upstream = agentperf.rate_limited("3/min", tokens="90_000/min")


@upstream
def complete(prompt: str, max_tokens: int = 200) -> str:
    """Stand in for a model; shares its limit with `embed`."""
    return prompt.upper()[:max_tokens]


@upstream
def embed(text: str) -> list[float]:
    """Stand in for another call to the same upstream."""
    return [float(len(text))]


@agentperf.rate_limited("2/min", by="user", on_limit="raise")
def ask(user: str, question: str) -> str:
    """Stand in for an endpoint."""
    return f"{user}: {question}"


def main() -> None:
    """Wait for an upstream's limit, and refuse a user who is over theirs."""
    clock = FakeClock()
    with fresh_host(clock):
        began = clock.now()
        for _ in range(2):
            complete("what is new?")
            embed("what is new?")
        print(f"the fourth call waited {clock.now() - began:g} seconds")
        print("left:", agentperf.handle(complete).limiter.remaining())

        for user in ("anna", "anna", "anna", "bert"):
            try:
                print(ask(user, "what is new?"))
            except agentperf.RateLimitExceeded as error:
                print(f"{user}: try again in {error.retry_after:g} seconds")


if __name__ == "__main__":
    main()
