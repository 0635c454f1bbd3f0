"""A model's server inside the process: answers of both HTTP libraries, with real bodies."""

from __future__ import annotations

import importlib
import json
from types import SimpleNamespace

import openai
import pytest

LIBRARIES = ("httpx", "httpx2")
MAJOR = int(openai.__version__.split(".", maxsplit=1)[0])

USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 5,
    "total_tokens": 25,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 2},
}
HEAD = {"id": "chatcmpl-1", "created": 1, "model": "gpt-4o-mini-2024-07-18"}
COMPLETION = {
    **HEAD,
    "object": "chat.completion",
    "service_tier": "default",
    "system_fingerprint": "fp_1",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": '{"x": 1}'},
            "finish_reason": "stop",
        }
    ],
    "usage": USAGE,
}
RESPONSE = {
    "id": "resp-1",
    "object": "response",
    "created_at": 1,
    "model": "gpt-4o-mini-2024-07-18",
    "status": "completed",
    "output": [],
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "tools": [],
    "usage": {
        "input_tokens": 20,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 25,
    },
}
EMBEDDINGS = {
    "object": "list",
    "model": "text-embedding-3-small",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5, 1.0]}],
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
TEXT = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1,
    "model": "gpt-3.5-turbo-instruct",
    "choices": [{"index": 0, "text": "yes", "finish_reason": "length", "logprobs": None}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
}


def event(data, name=None):
    """Write a server-sent event."""
    head = "" if name is None else f"event: {name}\n"
    return f"{head}data: {json.dumps(data)}\n\n".encode()


def chunk(text=None, finish=None, usage=None):
    """Write a piece of a streamed chat completion."""
    choices = [{"index": 0, "delta": {"content": text}, "finish_reason": finish}]
    body = {**HEAD, "object": "chat.completion.chunk", "usage": usage}
    return event({**body, "choices": [] if usage else choices})


CHUNKS = [chunk("a"), chunk("b"), chunk("c", "stop"), chunk(usage=USAGE), b"data: [DONE]\n\n"]
ERROR_EVENT = event({"error": {"message": "overloaded", "code": "server_overloaded"}})
EVENTS = [
    event(
        {
            "type": "response.created",
            "sequence_number": 0,
            "response": {**RESPONSE, "status": "in_progress", "usage": None},
        },
        "response.created",
    ),
    event(
        {"type": "response.completed", "sequence_number": 1, "response": RESPONSE},
        "response.completed",
    ),
]


def response_failed():
    """Write the events of a response that fails."""
    failed = {
        **RESPONSE,
        "status": "failed",
        "usage": None,
        "error": {"code": "server_error", "message": "no"},
    }
    last = {"type": "response.failed", "sequence_number": 1, "response": failed}
    return [EVENTS[0], event(last, "response.failed")]


class Body:
    """What comes over the wire: pieces, perhaps an error; knows whether it was closed."""

    def __init__(self, pieces, error=None, wait=None):
        self.pieces = pieces
        self.error = error
        self.wait = wait
        self.closed = False

    def of(self, library):
        """Make the library's own kind of stream, which serves both colours."""
        outer = self

        class Stream(library.SyncByteStream, library.AsyncByteStream):
            def __iter__(self):
                yield from outer.pieces
                if outer.error is not None:
                    raise outer.error

            async def __aiter__(self):
                for piece in outer.pieces:
                    yield piece
                if outer.wait is not None:
                    await outer.wait()
                if outer.error is not None:
                    raise outer.error

            def close(self):
                outer.closed = True

            async def aclose(self):
                outer.closed = True

        return Stream()


class Wire:
    """A transport of one of the libraries that answers with what it was given, in turn."""

    def __init__(self, name, *answers):
        self.library = importlib.import_module(name)
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        """Answer a request."""
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, Body):
            headers = {"content-type": "text/event-stream"}
            return self.library.Response(200, headers=headers, stream=answer.of(self.library))
        status, body, *headers = answer if isinstance(answer, tuple) else (200, answer)
        more = headers[0] if headers else {}
        # A body in pieces, as from a network: one that is given whole counts as read already.
        text = Body([json.dumps(body).encode()]).of(self.library)
        return self.library.Response(
            status, headers={"content-type": "application/json", **more}, stream=text
        )

    @property
    def transport(self):
        """The transport."""
        return self.library.MockTransport(self)

    def clients(self, **options):
        """Make the two clients of the SDK."""
        options = {
            "api_key": "sk-secret",
            "base_url": "https://api.openai.com/v1",
            "max_retries": 0,
        } | options
        return SimpleNamespace(
            sync=openai.OpenAI(
                http_client=self.library.Client(transport=self.transport), **options
            ),
            asynchronous=openai.AsyncOpenAI(
                http_client=self.library.AsyncClient(transport=self.transport), **options
            ),
        )


def needs(name):
    """Skip what the SDK at hand can't do: before 3.0 it knows only httpx."""
    if name == "httpx2" and MAJOR < 3:
        pytest.skip("this openai is built on httpx")


ASK = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
OPERATION = "chat gpt-4o-mini"
