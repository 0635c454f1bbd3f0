"""Runs both versions of the agent on the same work and compares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from agentperf.demo import after, before
from agentperf.demo.conversations import Message
from agentperf.demo.isolation import Isolation, examine
from agentperf.demo.runner import Run, pace, play, warm_up
from agentperf.testing.fake_llm import FakeLLM, Faults

FAULTY = 0.2
"""The share of requests that go wrong where faults are wanted."""

RETRY_AFTER = 1.0
"""Seconds, at full scale, that the server asks a client to wait that it turns away."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Both runs, and what was checked besides.

    Attributes:
        before: The agent as it was first written.
        after: The same with agentperf.
        faulty_before: The first again, on a server that fails now and then.
        faulty_after: The second on that server.
        isolation: Whether profiles are kept apart.
    """

    before: Run
    after: Run
    faulty_before: Run
    faulty_after: Run
    isolation: Isolation

    def disagreements(self) -> list[str]:
        """Name the messages whose answers don't agree on the facts, and what is missing where.

        Of what the first version says in spite of faults nothing is expected: where a message
        failed, it has not remembered what the message said.
        """
        runs = {
            "before": self.before,
            "after": self.after,
            "after, with faults,": self.faulty_after,
        }
        found = []
        for replies in zip(*(run.replies for run in runs.values()), strict=True):
            for name, reply in zip(runs, replies, strict=True):
                if reply.text is not None and reply.missing:
                    missing = ", ".join(map(repr, reply.missing))
                    found.append(f"{reply.message.text!r}: the answer {name} lacks {missing}")
        return found

    def failures(self) -> list[str]:
        """Name the messages that the second version left without an answer."""
        replies = [*self.after.replies, *self.faulty_after.replies]
        return [f"{r.message.text!r}: no answer ({r.error!r})" for r in replies if r.text is None]

    def problems(self) -> list[str]:
        """Name what should not be: answers that disagree or fail, profiles that share."""
        shared = [] if self.isolation.nothing_shared else ["profiles shared what is private"]
        return self.disagreements() + self.failures() + shared

    def as_json(self) -> dict[str, object]:
        """Return the figures as plain data."""
        return {
            "before": asdict(self.before.figures),
            "after": asdict(self.after.figures),
            "faults": {
                "before": asdict(self.faulty_before.figures),
                "after": asdict(self.faulty_after.figures),
            },
        }


async def compare(
    messages: Sequence[Message],
    *,
    scale: float,
    port: int = 0,
    seed: int = 0,
    advance: Callable[[], object] = lambda: None,
) -> Comparison:
    """Play the same messages to both versions, on one server, without faults and with them.

    Args:
        messages: What the users say.
        scale: What all times of the model and of its users are multiplied by.
        port: Where the model server listens; 0 takes any free port.
        seed: Draws the server's jitter and its faults.
        advance: Called after each of the four times `len(messages)` messages.

    Raises:
        ConfigurationError: The port is taken.
        MissingExtraError: The packages of the extra `demo` are not installed.
    """
    with FakeLLM(port=port, seed=seed, pace=pace(scale)) as llm:
        await warm_up(llm)
        old = await play(before.agent, messages, llm, scale=scale, advance=advance)
        new = await play(after.agent, messages, llm, scale=scale, advance=advance)
        isolation = await examine(after.agent, llm)
        llm.faults = Faults(rate=FAULTY, retry_after=RETRY_AFTER)
        faulty_old = await play(before.agent, messages, llm, scale=scale, advance=advance)
        # The host's clock runs at the scale, so to it the server speaks in unscaled seconds.
        llm.faults = Faults(rate=FAULTY, retry_after=RETRY_AFTER / scale)
        faulty_new = await play(after.agent, messages, llm, scale=scale, advance=advance)
        return Comparison(old, new, faulty_old, faulty_new, isolation)
