"""Decorate methods: every instance has answers of its own, unless its class says what it is."""

from __future__ import annotations

import agentperf


class Assistant:
    """Keeps the answers of each instance apart."""

    def __init__(self, greeting: str) -> None:
        self.greeting = greeting

    @agentperf.timed
    @agentperf.cached(ttl="10m")
    def reply(self, text: str) -> str:
        """Answer a text."""
        return f"{self.greeting} You said: {text}"

    @classmethod
    @agentperf.cached
    def languages(cls) -> tuple[str, ...]:
        """List what the assistant speaks."""
        return ("English", "Dutch")


class Model:
    """Shares answers between instances of one name: they would say the same."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __agentperf_key__(self) -> str:
        return self.name

    @agentperf.cached(ttl="10m")
    def describe(self, text: str) -> str:
        """Describe a text."""
        return f"{self.name}: {len(text)} letters"


def main() -> None:
    """Call the methods on several instances and print what was shared."""
    polite, short = Assistant("Good morning."), Assistant("Hi.")
    for assistant in [polite, short, polite]:
        print(assistant.reply("hello"))
    Assistant.languages()
    polite.languages()
    Model("small").describe("hello")
    Model("small").describe("hello")

    print(agentperf.handle(polite.reply).stats())
    for function in (Assistant.reply, Assistant.languages, Model.describe):
        print(agentperf.handle(function).cache)


if __name__ == "__main__":
    main()
