"""Keep answers for ten minutes, and leave the client out of what makes two calls the same."""

from __future__ import annotations

import agentperf


class Client:
    """Stand in for a model's client that counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    def complete(self, prompt: str) -> str:
        """Answer a prompt."""
        self.asked += 1
        return prompt.upper()


@agentperf.cached(ttl="10m", ignore="client")
def answer(client: Client, question: str) -> str:
    """Answer a question."""
    return client.complete(question)


def main() -> None:
    """Ask the same question twice, another one once, and look at the cache."""
    client = Client()
    for question in ["what is new?", "what is new?", "who are you?"]:
        print(answer(client, question))
    print(f"the client was asked {client.asked} times")

    cache = agentperf.handle(answer).cache
    print(cache.stats())
    print("kept:", cache.peek(client, "what is new?"))
    cache.invalidate(client, "what is new?")
    print("kept after invalidation:", cache.peek(client, "what is new?"))


if __name__ == "__main__":
    main()
