"""How the fake model behaves: how fast, how dear and how faulty it is."""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentperf._base.durations import Duration, seconds
from agentperf._base.options import Share, share
from agentperf.errors import ConfigurationError

if TYPE_CHECKING:
    from agentperf.testing.fake_llm.tools import ToolCall
    from agentperf.testing.fake_llm.wire import Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long answers take; by default no time at all.

    Attributes:
        ttft: Time to the first token of an answer.
        tokens_per_second: How fast the tokens follow; None sends all at once.
        embedding: Time for an embedding request.
        jitter: By which share at most a request's times differ from the above, up or down.
        scale: All times are multiplied by it; 0.1 makes a server that is ten times faster.

    Raises:
        ConfigurationError: A time is malformed or negative, or a number is out of range.
    """

    ttft: Duration = 0.0
    tokens_per_second: float | None = None
    embedding: Duration = 0.0
    jitter: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        seconds(self.ttft, "ttft", zero=True)
        seconds(self.embedding, "embedding", zero=True)
        if self.tokens_per_second is not None:
            _check("tokens_per_second", self.tokens_per_second, "more than 0", example=40)
        if not 0 <= self.jitter < 1:
            raise ConfigurationError(f"jitter={self.jitter!r}: a share is needed, jitter=0.2")
        if not (math.isfinite(self.scale) and self.scale >= 0):
            raise ConfigurationError(f"scale={self.scale!r}: 0 or more is needed, scale=0.1")

    def first_token(self, luck: float) -> float:
        """Seconds until a request with this luck (0..1) gets its first token."""
        return seconds(self.ttft, "ttft", zero=True) * self._factor(luck)

    def per_token(self, luck: float) -> float:
        """Seconds that each token of a request with this luck takes."""
        return self._factor(luck) / self.tokens_per_second if self.tokens_per_second else 0.0

    def whole_embedding(self, luck: float) -> float:
        """Seconds that an embedding request with this luck takes."""
        return seconds(self.embedding, "embedding", zero=True) * self._factor(luck)

    def _factor(self, luck: float) -> float:
        return self.scale * (1 + self.jitter * (2 * luck - 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a million tokens cost, in US dollars.

    Attributes:
        input: Tokens that the model reads.
        output: Tokens that it writes.
        embedding: Tokens that are embedded.
    """

    input: float = 0.40
    output: float = 1.60
    embedding: float = 0.02


class Fault(enum.Enum):
    """A way in which a request goes wrong."""

    RATE_LIMIT = "rate_limit"
    """429; with Retry-After, unless `retry_after=None`."""
    SERVER_ERROR = "server_error"
    """500."""
    CUT = "cut"
    """The connection ends in the middle of the answer."""
    RESET = "reset"
    """The connection is reset before anything of the answer is sent."""
    HANG = "hang"
    """Nothing is answered until the client goes away."""
    GARBAGE = "garbage"
    """200, with a body that is no JSON; of a stream, an event that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Which share of the requests goes wrong, and how; by default none.

    Attributes:
        rate: The share of requests, 0..1, or text such as `"20%"`.
        kinds: What may happen to them, each equally likely.
        retry_after: What a 429 asks the client to wait, multiplied by the pace's scale; None leaves
            that header out.
        script: What the first requests meet, one after the other, whatever they ask for: a fault,
            or None for an answer. After it, the rate decides. It begins anew when the faults are
            set, and with `FakeLLM.reset`.

    Raises:
        ConfigurationError: The rate is no share, no kind is given, the time is malformed, or the
            script holds something else than faults and None.
    """

    rate: Share = 0.0
    kinds: tuple[Fault, ...] = (Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.CUT)
    retry_after: Duration | None = 1.0
    script: Sequence[Fault | None] = ()

    def __post_init__(self) -> None:
        if self.retry_after is not None:
            seconds(self.retry_after, "retry_after", zero=True)
        scripted = isinstance(self.script, list | tuple)
        if not scripted or not all(isinstance(one, Fault | None) for one in self.script):
            raise ConfigurationError(
                f"script={self.script!r}: a list of faults and None, script=[Fault.HANG, None]"
            )
        object.__setattr__(self, "rate", share("rate", self.rate, 0.2, zero=True))
        if not self.kinds:
            raise ConfigurationError("kinds=(): name one fault at least, kinds=(Fault.CUT,)")

    def pick(self, luck: float) -> Fault | None:
        """Return what happens to a request with this luck (0..1); None when all goes well."""
        rate = float(self.rate)
        return self.kinds[int(luck / rate * len(self.kinds))] if luck < rate else None


@dataclass(slots=True)
class Behaviour:
    """What decides how the server answers.

    Attributes:
        seed: Draws jitter, faults and vectors.
        pace: How long answers take.
        faults: What goes wrong; may be exchanged while the server runs.
        answer: Makes the answer, or the call of a tool, from the messages of a prompt.
        headers: What every answer has in its headers; may be exchanged too.
    """

    seed: int
    pace: Pace
    faults: Faults
    answer: Callable[[Sequence[Message]], str | ToolCall]
    headers: Mapping[str, str]


def _check(name: str, value: float, wanted: str, *, example: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigurationError(f"{name}={value!r}: {wanted} is needed, {name}={example}")
