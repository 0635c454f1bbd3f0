"""What is known of a model call: what was asked, what was answered, how it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentperf._base.endings import Ending
from agentperf.usage import Usage

if TYPE_CHECKING:
    from agentperf.tokens import Price


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A kind of model call.

    Attributes:
        operation: What OpenTelemetry calls it, such as `chat`.
        api: What OpenTelemetry calls the interface; None where it has no name.
        read: Notes what a whole answer says of itself.
        read_item: The same for an item of a stream.
    """

    operation: str
    api: str | None
    read: Callable[[Answer, Any], None]
    read_item: Callable[[Answer, Any], None]


class ModelRequest:
    """What was asked; of the content nothing is kept beyond the call.

    Attributes:
        name: What the call is counted under: the operation and the model.
        endpoint: The kind of call.
        body: The request's body.
        model: The model that was asked for.
        provider: Who runs it.
        host: Where the request goes.
        port: The port there.
        streaming: Whether the answer is to come in pieces.
    """

    __slots__ = ("body", "endpoint", "host", "model", "name", "port", "provider", "streaming")

    def __init__(
        self,
        endpoint: Endpoint,
        body: Mapping[str, Any],
        provider: str,
        host: str,
        port: int,
        *,
        streaming: bool,
    ) -> None:
        model = body.get("model")
        self.endpoint = endpoint
        self.body = body
        self.model = model if isinstance(model, str) else None
        self.name = endpoint.operation if self.model is None else f"{endpoint.operation} {model}"
        self.provider = provider
        self.host = host
        self.port = port
        self.streaming = streaming


class Answer:
    """What an answer, or the pieces of one so far, said of itself.

    Attributes:
        id: Its id.
        model: The model that answered.
        finish_reasons: Why it ended, one for each choice.
        head: The whole answer, or a piece that tells about all of it.
        reported: The tokens used, as the SDK has them.
        failure: The code of a failure that was reported as an answer.
    """

    __slots__ = ("failure", "finish_reasons", "head", "id", "model", "reported")

    def __init__(self) -> None:
        self.id: str | None = None
        self.model: str | None = None
        self.finish_reasons: list[str] = []
        self.head: Any = None
        self.reported: Any = None
        self.failure: str | None = None

    def usage(self, asked: str | None) -> Usage | None:
        """Return the tokens used, with their cost where the price of the model is known."""
        usage = None if self.reported is None else tokens_of(self.reported)
        if usage is None:
            return None
        found = (self.model and _price(self.model)) or (asked and _price(asked)) or None
        if found is None:
            return usage
        return Usage(
            usage.input_tokens, usage.output_tokens, usage.cached_tokens, found.cost(usage)
        )

    def said(self, name: str) -> Any:
        """Return something else that the answer says of itself."""
        return getattr(self.head, name, None)

    def reasoning_tokens(self) -> int:
        """Return how many tokens of the output were reasoning, where that was reported."""
        return self._detail(
            ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens"
        )

    def cache_write_tokens(self) -> int:
        """Return how many tokens of the input went into the provider's cache."""
        return self._detail(("prompt_tokens_details", "input_tokens_details"), "cache_write_tokens")

    def _detail(self, holders: tuple[str, ...], name: str) -> int:
        for holder in holders:
            if (details := getattr(self.reported, holder, None)) is not None:
                found = getattr(details, name, None)
                return found if isinstance(found, int) else 0
        return 0


@dataclass(frozen=True, slots=True)
class Told:
    """How a model call ended, as it is told to everybody.

    Attributes:
        ending: How.
        error: The error, where it failed.
        answer: What the answer said.
        usage: Tokens and money.
        elapsed: Seconds from the call to its end, the consumer's pauses included.
        first_item: Seconds to the first item of a stream.
        gaps: Seconds of each further item, where those are wanted.
    """

    ending: Ending
    error: BaseException | None
    answer: Answer
    usage: Usage | None
    elapsed: float
    first_item: float | None
    gaps: list[float]


def tokens_of(reported: Any) -> Usage | None:
    """Return the tokens that an answer reports, in either of the SDK's dialects.

    The general reader of results does the same for any object, in several times the time.
    """
    count = getattr(reported, "prompt_tokens", None)
    if count is not None:
        output = getattr(reported, "completion_tokens", None)
        details = getattr(reported, "prompt_tokens_details", None)
    else:
        count = getattr(reported, "input_tokens", None)
        output = getattr(reported, "output_tokens", None)
        details = getattr(reported, "input_tokens_details", None)
    if not isinstance(count, int):
        return None
    cached = getattr(details, "cached_tokens", None)
    return Usage(
        count,
        output if isinstance(output, int) else 0,
        cached if isinstance(cached, int) else 0,
    )


def _price(model: str) -> Price | None:
    from agentperf.tokens import price  # the table is read at the first call that used tokens

    return price(model, wait=False)
