"""Runs both versions of the agent on the same work and compares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from agentperf.demo import after, before
from agentperf.demo.conversations import Message
from agentperf.demo.isolation import Isolation, examine
from agentperf.demo.runner import Run, pace, play, warm_up
from agentperf.testing.fake_llm import FakeLLM

NOT_YET = "not yet"


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both runs, and what was checked besides.

    Attributes:
        before: The agent as it was first written.
        after: The same with agentperf.
        isolation: Whether profiles are kept apart.
    """

    before: Run
    after: Run
    isolation: Isolation

    def disagreements(self) -> list[str]:
        """Name the messages whose answers don't agree on the facts, and what is missing where."""
        found = []
        for old, new in zip(self.before.replies, self.after.replies, strict=True):
            for name, reply in (("before", old), ("after", new)):
                if reply.text is not None and reply.missing:
                    missing = ", ".join(map(repr, reply.missing))
                    found.append(f"{reply.message.text!r}: the answer {name} lacks {missing}")
        return found

    def problems(self) -> list[str]:
        """Name what should not be: answers that disagree, profiles that share."""
        shared = [] if self.isolation.nothing_shared else ["profiles shared what is private"]
        return self.disagreements() + shared

    def as_json(self) -> dict[str, object]:
        """Return the figures as plain data."""
        return {
            "before": asdict(self.before.figures),
            "after": asdict(self.after.figures),
            "faults": {"before": NOT_YET, "after": NOT_YET},
        }


async def compare(
    messages: Sequence[Message],
    *,
    scale: float,
    port: int = 0,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> Comparison:
    """Play the same messages to both versions, on one server with the same settings.

    Args:
        messages: What the users say.
        scale: What all times of the model and of its users are multiplied by.
        port: Where the model server listens; 0 takes any free port.
        seed: Draws the server's jitter.
        advance: Called after each of the two times `len(messages)` messages.

    Raises:
        ConfigurationError: The port is taken.
        MissingExtraError: The packages of the extra `demo` are not installed.
    """
    with FakeLLM(port=port, seed=seed, pace=pace(scale)) as llm:
        await warm_up(llm)
        old = await play(before.agent, messages, llm, scale=scale, advance=advance)
        new = await play(after.agent, messages, llm, scale=scale, advance=advance)
        return Comparison(old, new, await examine(after.agent, llm))
