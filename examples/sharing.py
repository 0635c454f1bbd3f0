"""Share one cache between two functions that give the same answers, by naming it."""

from __future__ import annotations

import anyio

import agentperf

by_name = agentperf.cached(ttl="10m", name="profiles")


@by_name
def profile(user_id: str) -> str:
    """Look a profile up."""
    return f"profile of {user_id}"


@by_name
async def profile_async(user_id: str) -> str:
    """Look the same profile up on an event loop."""
    return f"profile of {user_id}"


def main() -> None:
    """Look up in one colour what the other one has looked up before."""
    print(profile("anna"))
    print(anyio.run(profile_async, "anna"))
    print(agentperf.handle(profile).cache)
    print(agentperf.handle(profile_async).cache)


if __name__ == "__main__":
    main()
