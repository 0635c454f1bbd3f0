"""The web application behind the fake model: reads a request, lets time pass, answers."""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import sys
import time
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agentperf._base.durations import seconds
from agentperf.testing.fake_llm import wire
from agentperf.testing.fake_llm.chance import fingerprint, luck
from agentperf.testing.fake_llm.counts import Counts
from agentperf.testing.fake_llm.embedding import embed
from agentperf.testing.fake_llm.options import Behaviour, Fault
from agentperf.testing.fake_llm.tools import ToolCall, demanded
from agentperf.testing.fake_llm.words import count, tokens

_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_GARBAGE = "<html>Bad Gateway</html>"

MODELS = ("fake-chat", "fake-embedding")


class _CutError(Exception):
    """Ends a connection in the middle of an answer."""


@dataclass(slots=True)
class Api:
    """The endpoints.

    Attributes:
        behaviour: How to answer.
        counts: Where to count.
        connections: The server's open connections.
    """

    behaviour: Behaviour
    counts: Counts
    connections: Collection[Any] = ()

    def app(self) -> ASGIApp:
        """Return the application."""
        chat, responses = wire.Chat(), wire.Responses()
        routes = [
            Route(chat.path, self._generation(chat), methods=["POST"]),
            Route(responses.path, self._generation(responses), methods=["POST"]),
            Route(wire.Embeddings.path, self._embeddings, methods=["POST"]),
            Route("/v1/models", self._models, methods=["GET"]),
            Route("/v1/models/{name}", self._model, methods=["GET"]),
        ]
        inner = Starlette(
            routes=routes,
            exception_handlers={wire.RefusedError: self._refused, HTTPException: self._unknown},
        )

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self.counts.started(scope["path"])

            async def with_headers(message: Message) -> None:
                if message["type"] == "http.response.start":
                    given = MutableHeaders(scope=message)
                    for name, value in self.behaviour.headers.items():
                        given.setdefault(name, value)
                await send(message)

            try:
                await inner(scope, receive, with_headers)
            except _CutError:  # counted already
                raise
            except Exception:
                self.counts.failed()
                raise
            finally:
                self.counts.ended()

        return counted

    def _generation(self, kind: wire.Generation) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            start = time.perf_counter()
            body = await self._body(request)
            messages = kind.read(body)
            fault = await self._fault(request, body)
            answer = demanded(body) or self.behaviour.answer(messages)
            call = answer if isinstance(answer, ToolCall) else None
            text = json.dumps(call.arguments) if call else str(answer)
            made = wire.Generated(
                id=self._name(kind.path, body),
                body=body,
                pieces=tokens(text),
                input_tokens=wire.input_tokens(messages),
                tool=call.name if call else None,
            )
            self.counts.read(made.input_tokens)
            if body.get("stream"):
                frames = self._stream(request, kind, made, start, fault)
                return StreamingResponse(frames, media_type="text/event-stream")
            await self._until(made, len(made.pieces), start)
            self.counts.wrote(len(made.pieces))
            return self._whole(kind.whole(made), fault)

        return endpoint

    async def _stream(
        self,
        request: Request,
        kind: wire.Generation,
        made: wire.Generated,
        start: float,
        fault: Fault | None,
    ) -> AsyncIterator[str]:
        sent = 0
        if fault is Fault.GARBAGE:
            self.counts.failed()
            yield f"data: {_GARBAGE}\n\n"
            return
        for frame in kind.frames(made):
            await self._until(made, sent, start)
            if await request.is_disconnected():
                return
            if fault is Fault.CUT and sent >= len(made.pieces) // 2:
                self.counts.failed()
                raise _CutError
            sent += frame.tokens
            self.counts.wrote(frame.tokens)
            yield frame.text

    async def _embeddings(self, request: Request) -> Response:
        start = time.perf_counter()
        kind = wire.Embeddings()
        body = await self._body(request)
        texts = kind.read(body)
        fault = await self._fault(request, body)
        read = sum(map(count, texts))
        self.counts.embedded(read)
        size = kind.dimensions(body)
        vectors = [embed(text, dimensions=size, seed=self.behaviour.seed) for text in texts]
        chance = luck(self.behaviour.seed, self._name(kind.path, body))
        await _sleep_until(start + self.behaviour.pace.whole_embedding(chance))
        return self._whole(kind.whole(body, vectors, read), fault)

    async def _models(self, request: Request) -> Response:
        return JSONResponse(wire.models(MODELS))

    async def _model(self, request: Request) -> Response:
        return JSONResponse(wire.model(request.path_params["name"]))

    async def _refused(self, request: Request, error: Any) -> Response:
        return self._error(error)

    async def _unknown(self, request: Request, error: Any) -> Response:
        message = f"Unknown request URL: {request.method} {request.url.path}"
        return self._error(wire.RefusedError(error.status_code, message))

    def _error(self, refused: wire.RefusedError) -> Response:
        self.counts.failed()
        body = wire.error(str(refused), refused.kind)
        return JSONResponse(body, status_code=refused.status, headers=refused.headers)

    async def _body(self, request: Request) -> wire.Json:
        try:
            body = json.loads(await request.body())
        except ValueError:
            body = None
        if not isinstance(body, dict):
            raise wire.RefusedError(400, "The body of the request must be a JSON object")
        if not isinstance(body.get("model"), str):
            raise wire.RefusedError(400, "you must provide a model parameter")
        self.counts.received(request.url.path, body)
        return body

    def _name(self, path: str, body: wire.Json) -> str:
        return fingerprint(self.behaviour.seed, path, json.dumps(body, sort_keys=True))

    async def _fault(self, request: Request, body: wire.Json) -> Fault | None:
        """Do what goes wrong before an answer; return what goes wrong with the answer itself."""
        fault = self._picked(request.url.path, body)
        if fault is Fault.RATE_LIMIT:
            raise self._rate_limit()
        if fault is Fault.SERVER_ERROR:
            raise wire.RefusedError(500, "The server had an error.", kind="server_error")
        if fault in (Fault.HANG, Fault.RESET):
            self.counts.failed()
            try:
                if fault is Fault.HANG:
                    await _gone(request)
            finally:  # also where the server is stopped
                self._reset(request)
            await asyncio.sleep(0)  # so that it is known that nobody is there to answer
            raise _CutError
        return fault

    def _picked(self, path: str, body: wire.Json) -> Fault | None:
        """Read the script, or draw; asked again, the same request draws again."""
        faults = self.behaviour.faults
        if faults.script and (place := self.counts.next_scripted()) < len(faults.script):
            return faults.script[place]
        if not faults.rate:
            return None
        name = self._name(path, body)
        return faults.pick(luck("fault", name, self.counts.asked(name)))

    def _rate_limit(self) -> wire.RefusedError:
        after, kind = self.behaviour.faults.retry_after, "rate_limit_error"
        if after is None:
            return wire.RefusedError(429, "Rate limit reached.", kind=kind)
        wait = seconds(after, "retry_after", zero=True) * self.behaviour.pace.scale
        headers = {"retry-after": f"{wait:.3f}", "retry-after-ms": f"{wait * 1000:.0f}"}
        message = f"Rate limit reached. Please try again in {wait:.3f}s."
        return wire.RefusedError(429, message, kind=kind, headers=headers)

    def _reset(self, request: Request) -> None:
        """Reset the connection of a request, if it is still there."""
        for connection in list(self.connections):
            if connection.client == request.scope["client"]:
                # What is closed without lingering is reset.
                sock = connection.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                connection.transport.abort()

    async def _until(self, made: wire.Generated, sent: int, start: float) -> None:
        """Wait until so many tokens of the answer are due."""
        pace, chance = self.behaviour.pace, luck(self.behaviour.seed, made.id)
        await _sleep_until(start + pace.first_token(chance) + sent * pace.per_token(chance))

    def _whole(self, content: wire.Json, fault: Fault | None) -> Response:
        response = JSONResponse(content)
        if fault is None:
            return response
        self.counts.failed()
        if fault is Fault.GARBAGE:
            return Response(_GARBAGE, media_type="application/json")
        body = bytes(response.body)
        return StreamingResponse(_half(body), headers=dict(response.headers))


async def _half(body: bytes) -> AsyncIterator[bytes]:
    yield body[: len(body) // 2]
    raise _CutError


async def _gone(request: Request) -> None:
    """Wait until the client has gone away."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _sleep_until(moment: float) -> None:
    if (left := moment - time.perf_counter()) > 0:
        await asyncio.sleep(left)
