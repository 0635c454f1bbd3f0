"""Starts and stops the fake model server."""

from __future__ import annotations

import importlib.util
import socket
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from agentperf.errors import ConfigurationError, MissingExtraError
from agentperf.testing.fake_llm import answers
from agentperf.testing.fake_llm.counts import Counts, ServerStats
from agentperf.testing.fake_llm.options import Behaviour, Faults, Pace, Price
from agentperf.testing.fake_llm.tools import ToolCall
from agentperf.testing.fake_llm.wire import Message

if TYPE_CHECKING:
    import uvicorn

_NEEDED = ("starlette", "uvicorn")
_HOST = "127.0.0.1"
_LARGEST_PORT = 65_535
_STOP_TIMEOUT = 5.0
_BACKLOG = 2_048


class FakeLLM:
    """An OpenAI-compatible model server on the loopback interface.

    It serves chat completions and responses (in one piece and as streams), embeddings and models,
    in a thread of its own. The same request to a server with the same seed always gets the same
    answer, and answers hold nothing but what the prompt says: a question is answered from the lines
    `Fact: ...` of its messages.

    Example:
        with FakeLLM() as llm:
            client = openai.OpenAI(base_url=llm.base_url, api_key="none")
            ...
            assert llm.stats().calls == 1

    Args:
        port: Where to listen; 0 takes any free port.
        seed: Draws jitter, faults and vectors.
        pace: How long answers take; by default no time.
        price: What tokens cost.
        faults: Which share of requests goes wrong; by default none. May be set at any time.
        answer: Makes the answer from the messages of a prompt, instead of the built-in rules: a
            text, or a `ToolCall`. A request whose `tool_choice` demands a tool gets a call of it
            without being asked for here.
        headers: What every answer and refusal has in its headers, such as
            `{"x-ratelimit-remaining-requests": "3"}`. May be set at any time.

    Raises:
        ConfigurationError: The port is no port, or `headers` doesn't map texts to texts.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        seed: int = 0,
        pace: Pace | None = None,
        price: Price | None = None,
        faults: Faults | None = None,
        answer: Callable[[Sequence[Message]], str | ToolCall] = answers.answer,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not 0 <= port <= _LARGEST_PORT:
            raise ConfigurationError(
                f"port={port}: a port from 0 (any free one) to {_LARGEST_PORT} is needed, port=8080"
            )
        self.port = port
        self._behaviour = Behaviour(seed, pace or Pace(), faults or Faults(), answer, {})
        self.headers = headers or {}
        self._counts = Counts(price or Price())
        self._running: tuple[uvicorn.Server, threading.Thread, socket.socket] | None = None

    def __repr__(self) -> str:
        state = self.base_url if self._running else "stopped"
        return f"<FakeLLM {state} seed={self._behaviour.seed} calls={self.stats().calls}>"

    @property
    def base_url(self) -> str:
        """What to give a client as its base URL."""
        return f"http://{_HOST}:{self.port}/v1"

    @property
    def faults(self) -> Faults:
        """Which share of the requests goes wrong, and how; None set is none.

        Raises:
            ConfigurationError: Something else than faults is set.
        """
        return self._behaviour.faults

    @faults.setter
    def faults(self, faults: Faults | None) -> None:
        if not isinstance(faults, Faults | None):
            raise ConfigurationError(
                f"faults={faults!r}: Faults or None are needed, llm.faults = Faults(rate=0.2)"
            )
        self._behaviour.faults = faults or Faults()
        self._counts.begin_script()

    @property
    def headers(self) -> Mapping[str, str]:
        """What every answer has in its headers.

        Raises:
            ConfigurationError: Something else than texts by name is set.
        """
        return self._behaviour.headers

    @headers.setter
    def headers(self, headers: Mapping[str, str]) -> None:
        if not isinstance(headers, Mapping) or not all(
            isinstance(part, str) for pair in headers.items() for part in pair
        ):
            raise ConfigurationError(
                f"headers={headers!r}: texts by name are needed, "
                'headers={"x-ratelimit-remaining-requests": "3"}'
            )
        self._behaviour.headers = dict(headers)

    @property
    def received(self) -> tuple[tuple[str, dict[str, Any]], ...]:
        """Path and body of the last thousand requests, oldest first."""
        return self._counts.requests()

    def stats(self) -> ServerStats:
        """Return what the server counted since it started or was reset."""
        return self._counts.stats()

    def reset(self) -> None:
        """Begin counting again at zero, forget what was received and draw faults from the start."""
        self._counts.reset()

    def start(self) -> Self:
        """Start to serve; once stopped, it starts again on the same port.

        Raises:
            ConfigurationError: The port is taken, or the server is running already.
            MissingExtraError: A package of the extra `demo` is not installed.
        """
        if self._running:
            raise ConfigurationError(f"{self!r} is running already; make another FakeLLM()")
        for package in _NEEDED:
            if importlib.util.find_spec(package) is None:
                raise MissingExtraError("FakeLLM", "demo", package)
        import uvicorn

        from agentperf.testing.fake_llm.app import Api

        listener = _listen(self.port)
        self.port = listener.getsockname()[1]
        api = Api(self._behaviour, self._counts)
        server = uvicorn.Server(
            uvicorn.Config(
                api.app(),
                http="h11",
                loop="asyncio",
                ws="none",
                lifespan="off",
                access_log=False,
                date_header=False,
                server_header=False,
                proxy_headers=False,
                log_config=None,
                # Cut answers end in errors on purpose; they are counted, not logged.
                log_level="critical",
            )
        )
        api.connections = server.server_state.connections
        thread = threading.Thread(
            target=server.run, args=([listener],), name=f"FakeLLM:{self.port}", daemon=True
        )
        thread.start()
        self._running = server, thread, listener
        return self

    def stop(self) -> None:
        """Stop serving; requests in flight are dropped. Does nothing when it is not running."""
        if self._running is None:
            return
        server, thread, listener = self._running
        self._running = None
        server.force_exit = server.should_exit = True
        thread.join(_STOP_TIMEOUT)
        # A server that was stopped before it came up leaves it open.
        listener.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _listen(port: int) -> socket.socket:
    """Open the listening socket now, so that clients may connect before the thread has come up."""
    # Named as TCP because asyncio sets TCP_NODELAY only then; without it small answers take 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((_HOST, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"port={port}: can't listen on {_HOST}:{port} ({error.strerror}); "
            "take another one, or port=0 for any free port"
        ) from error
    return listener
