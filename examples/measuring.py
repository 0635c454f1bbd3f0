"""Measure a region of code, and note the tokens that a model's answer took."""

from __future__ import annotations

import agentperf


@agentperf.timed
def ask(question: str) -> str:
    """Stand in for a model call that says what it used."""
    answer = f"I don't know about {question}"
    agentperf.record(
        input_tokens=len(question.split()), output_tokens=len(answer.split()), cost_usd=0.0001
    )
    return answer


def main() -> None:
    """Ask twice inside a region, and print who spent what."""
    with agentperf.measure("plan a trip"):
        ask("trains to Ghent")
        ask("hotels in Ghent")
        agentperf.record(agentperf.Usage(input_tokens=5, output_tokens=7))

    for figures in agentperf.stats().values():
        print(figures)
    plan = agentperf.stats()["plan a trip"]
    print(f"spent by the region itself: {plan.own_usage.total_tokens} tokens")
    print(f"and with all that happened inside: {plan.usage.total_tokens} tokens")


if __name__ == "__main__":
    main()
