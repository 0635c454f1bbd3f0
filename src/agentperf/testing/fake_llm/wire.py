"""The shapes of the OpenAI API: what comes in is read, what goes out is built."""

from __future__ import annotations

import base64
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentperf.testing.fake_llm.embedding import DIMENSIONS
from agentperf.testing.fake_llm.words import count

CREATED = 1_700_000_000
"""The time stamp of every answer: the same request gets the same answer, byte for byte."""

Json = dict[str, Any]


class Message(NamedTuple):
    """One message of a prompt.

    Attributes:
        role: Such as `"system"` or `"user"`.
        text: Its content; of a list of parts, the texts.
    """

    role: str
    text: str


class RefusedError(Exception):
    """The request gets an error instead of an answer."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "invalid_request_error",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.headers = headers


class Frame(NamedTuple):
    """A piece of an event stream.

    Attributes:
        text: What goes over the wire.
        tokens: How many tokens of the answer it carries, 0 or 1.
    """

    text: str
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Generated:
    """An answer of the model, and the request it answers.

    Attributes:
        id: Names the answer; equal for equal requests.
        body: The request.
        pieces: The answer, token by token; of a call of a tool, its arguments.
        input_tokens: How many tokens the prompt has.
        tool: The tool that the model calls; None where it says something.
    """

    id: str
    body: Json
    pieces: list[str]
    input_tokens: int
    tool: str | None = None

    @property
    def text(self) -> str:
        """The whole answer."""
        return "".join(self.pieces)


def error(message: str, kind: str) -> Json:
    """Build an error."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def models(names: Sequence[str]) -> Json:
    """Build the list of models."""
    return {"object": "list", "data": [model(name) for name in names]}


def model(name: str) -> Json:
    """Build the entry of one model."""
    return {"id": name, "object": "model", "created": CREATED, "owned_by": "agentperf"}


class Chat:
    """Chat completions."""

    path = "/v1/chat/completions"

    def read(self, body: Json) -> list[Message]:
        """Return the messages of a request."""
        return _messages(body.get("messages"), "messages")

    def whole(self, made: Generated) -> Json:
        """Build the answer in one piece."""
        return {
            **self._head(made, "chat.completion"),
            "choices": [
                {
                    "index": 0,
                    "message": self._message(made),
                    "finish_reason": self._finish(made),
                    "logprobs": None,
                }
            ],
            "usage": self._usage(made),
        }

    def frames(self, made: Generated) -> Iterator[Frame]:
        """Build the answer as a stream; with usage when the request asks for it."""
        head = self._head(made, "chat.completion.chunk")
        with_usage = bool((made.body.get("stream_options") or {}).get("include_usage"))
        if with_usage:
            head["usage"] = None
        if made.tool is None:
            yield self._chunk(head, {"role": "assistant", "content": "", "refusal": None})
        else:
            call = {"index": 0, **self._call(made, "")}
            begun = {"role": "assistant", "content": None, "tool_calls": [call]}
            yield self._chunk(head, begun)
        for piece in made.pieces:
            delta: Json = {"content": piece}
            if made.tool is not None:
                delta = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            yield self._chunk(head, delta, tokens=1)
        yield self._chunk(head, {}, finish=self._finish(made))
        if with_usage:
            yield Frame(_data({**head, "choices": [], "usage": self._usage(made)}))
        yield Frame("data: [DONE]\n\n")

    def _message(self, made: Generated) -> Json:
        if made.tool is None:
            return {"role": "assistant", "content": made.text, "refusal": None}
        calls = [self._call(made, made.text)]
        return {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}

    def _call(self, made: Generated, arguments: str) -> Json:
        function = {"name": made.tool, "arguments": arguments}
        return {"id": f"call_{made.id}", "type": "function", "function": function}

    def _finish(self, made: Generated) -> str:
        return "stop" if made.tool is None else "tool_calls"

    def _head(self, made: Generated, kind: str) -> Json:
        return {
            "id": f"chatcmpl-{made.id}",
            "object": kind,
            "created": CREATED,
            "model": made.body["model"],
        }

    def _chunk(
        self, head: Json, delta: Json, *, finish: str | None = None, tokens: int = 0
    ) -> Frame:
        choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
        return Frame(_data({**head, "choices": [choice]}), tokens)

    def _usage(self, made: Generated) -> Json:
        return {
            "prompt_tokens": made.input_tokens,
            "completion_tokens": len(made.pieces),
            "total_tokens": made.input_tokens + len(made.pieces),
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        }


class Responses:
    """Responses."""

    path = "/v1/responses"

    def read(self, body: Json) -> list[Message]:
        """Return the messages of a request, its instructions first."""
        given = body.get("input")
        if isinstance(given, str):
            given = [{"role": "user", "content": given}]
        system = [{"role": "system", "content": i}] if (i := body.get("instructions")) else []
        return _messages(system + given if isinstance(given, list) else given, "input")

    def whole(self, made: Generated) -> Json:
        """Build the answer in one piece."""
        usage = {
            "input_tokens": made.input_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": len(made.pieces),
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": made.input_tokens + len(made.pieces),
        }
        item = self._item(made, "completed", made.text)
        return self._response(made, status="completed", output=[item], usage=usage)

    def frames(self, made: Generated) -> Iterator[Frame]:
        """Build the answer as a stream of events."""
        for number, (event, tokens) in enumerate(self._events(made)):
            text = f"event: {event['type']}\n{_data({**event, 'sequence_number': number})}"
            yield Frame(text, tokens)

    def _events(self, made: Generated) -> Iterator[tuple[Json, int]]:
        begun = self._response(made, status="in_progress", output=[], usage=None)
        at: Json = {"output_index": 0}
        yield {"type": "response.created", "response": begun}, 0
        yield {"type": "response.in_progress", "response": begun}, 0
        item = self._item(made, "in_progress")
        yield {"type": "response.output_item.added", **at, "item": item}, 0
        yield from self._said(made) if made.tool is None else self._called(made)
        item = self._item(made, "completed", made.text)
        yield {"type": "response.output_item.done", **at, "item": item}, 0
        yield {"type": "response.completed", "response": self.whole(made)}, 0

    def _said(self, made: Generated) -> Iterator[tuple[Json, int]]:
        at: Json = {"item_id": f"msg_{made.id}", "output_index": 0, "content_index": 0}
        yield {"type": "response.content_part.added", **at, "part": self._part("")}, 0
        for piece in made.pieces:
            delta = {"delta": piece, "logprobs": []}
            yield {"type": "response.output_text.delta", **at, **delta}, 1
        yield {"type": "response.output_text.done", **at, "text": made.text, "logprobs": []}, 0
        yield {"type": "response.content_part.done", **at, "part": self._part(made.text)}, 0

    def _called(self, made: Generated) -> Iterator[tuple[Json, int]]:
        kind = "response.function_call_arguments"
        at: Json = {"item_id": f"fc_{made.id}", "output_index": 0}
        for piece in made.pieces:
            yield {"type": f"{kind}.delta", **at, "delta": piece}, 1
        yield {"type": f"{kind}.done", **at, "name": made.tool, "arguments": made.text}, 0

    def _response(self, made: Generated, **rest: object) -> Json:
        return {
            "id": f"resp_{made.id}",
            "object": "response",
            "created_at": CREATED,
            "model": made.body["model"],
            "instructions": made.body.get("instructions"),
            "metadata": {},
            "error": None,
            "incomplete_details": None,
            "parallel_tool_calls": True,
            "temperature": 1.0,
            "top_p": 1.0,
            "tool_choice": made.body.get("tool_choice", "auto"),
            "tools": made.body.get("tools", []),
            **rest,
        }

    def _item(self, made: Generated, status: str, text: str | None = None) -> Json:
        if made.tool is not None:
            return {
                "id": f"fc_{made.id}",
                "type": "function_call",
                "call_id": f"call_{made.id}",
                "name": made.tool,
                "arguments": text or "",
                "status": status,
            }
        return {
            "id": f"msg_{made.id}",
            "type": "message",
            "role": "assistant",
            "status": status,
            "content": [] if text is None else [self._part(text)],
        }

    def _part(self, text: str) -> Json:
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


_ROLES = {"function_call": "assistant", "function_call_output": "tool"}
"""Who speaks in the items of a response that don't say so."""

Generation = Chat | Responses
"""The two ways of asking for text."""


class Embeddings:
    """Embeddings."""

    path = "/v1/embeddings"

    def read(self, body: Json) -> list[str]:
        """Return the texts of a request; token numbers count as words."""
        given = body.get("input")
        if isinstance(given, str):
            return [given]
        if not isinstance(given, list) or not given:
            raise RefusedError(400, "'input' must be a text or a list of texts")
        if all(isinstance(entry, int) for entry in given):
            return [" ".join(map(str, given))]
        return [e if isinstance(e, str) else " ".join(map(str, e)) for e in given]

    def dimensions(self, body: Json) -> int:
        """Return how long the vectors of a request shall be."""
        size = body.get("dimensions", DIMENSIONS)
        if not isinstance(size, int) or size < 1:
            raise RefusedError(400, "'dimensions' must be a whole number from 1 up")
        return size

    def whole(self, body: Json, vectors: Sequence[Sequence[float]], input_tokens: int) -> Json:
        """Build the answer, as base64 when the request asks for it."""
        packed = body.get("encoding_format") == "base64"
        return {
            "object": "list",
            "model": body["model"],
            "data": [
                {
                    "object": "embedding",
                    "index": index,
                    "embedding": _base64(vector) if packed else list(vector),
                }
                for index, vector in enumerate(vectors)
            ],
            "usage": {"prompt_tokens": input_tokens, "total_tokens": input_tokens},
        }


def input_tokens(messages: Sequence[Message]) -> int:
    """Return how many tokens a prompt has."""
    return sum(count(message.text) for message in messages)


def _messages(given: object, parameter: str) -> list[Message]:
    if not isinstance(given, list) or not given:
        raise RefusedError(400, f"'{parameter}' must be a list with one message at least")
    return [_message(entry, parameter) for entry in given]


def _message(entry: object, parameter: str) -> Message:
    if not isinstance(entry, dict):
        raise RefusedError(400, f"'{parameter}' must hold objects with a role and a content")
    content = entry.get("content", entry.get("output"))
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    role = _ROLES.get(str(entry.get("type")), "user")
    return Message(str(entry.get("role", role)), str(content or ""))


def _base64(vector: Sequence[float]) -> str:
    return base64.b64encode(array("f", vector).tobytes()).decode()


def _data(event: Json) -> str:
    return f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n"
