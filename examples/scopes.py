"""Say who the calls of a region are for: tenants never get each other's cached answers."""

from __future__ import annotations

from contextvars import ContextVar

import agentperf

REVENUE = {"acme": 120, "globex": 80}
tenant: ContextVar[str] = ContextVar("tenant")


@agentperf.cached(ttl="10m")
def report(question: str) -> str:
    """Answer from figures that depend on who asks, though the arguments don't say so."""
    return f"{question} {REVENUE[tenant.get()]}"


@agentperf.cached(ttl="10m", scope="none")
def spell(word: str) -> str:
    """Spell a word, which is the same for everybody."""
    return "-".join(word)


def main() -> None:
    """Ask the same questions for two tenants, twice each."""
    for name in ["acme", "globex", "acme", "globex"]:
        tenant.set(name)
        with agentperf.scope(tenant=name):
            print(f"{name}: {report('How much did we sell?')}, {spell('agent')}")

    for function in (report, spell):
        print(agentperf.handle(function).cache)


if __name__ == "__main__":
    main()
