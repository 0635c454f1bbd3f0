"""A real client, a real socket, and everything an upstream can do to them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import openai
import pytest

import agentperf
from agentperf.errors import BudgetExceeded, BulkheadFull, CallTimeout, CircuitOpen

ANSWER = json.dumps(
    {
        "id": "x",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "fine"},
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
)


def answer(status: str = "200 OK", body: str = ANSWER, *headers: str) -> bytes:
    """Write a whole answer."""
    lines = [
        f"HTTP/1.1 {status}",
        "content-type: application/json",
        f"content-length: {len(body)}",
        "connection: close",
        *headers,
    ]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def half() -> bytes:
    """Write an answer that breaks off in the middle."""
    whole = answer()
    return whole[: len(whole) - len(ANSWER) // 2]


def stream(pieces: int, *, whole: bool) -> bytes:
    """Write a streamed answer, with or without its end."""
    head = (
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    sent = head
    for number in range(pieces):
        chunk = {
            "id": "x",
            "object": "chat.completion.chunk",
            "created": 0,
            "model": "m",
            "choices": [{"index": 0, "delta": {"content": str(number)}, "finish_reason": None}],
        }
        event = f"data: {json.dumps(chunk)}\n\n"
        sent += f"{len(event):x}\r\n{event}\r\n"
    if whole:
        end = "data: [DONE]\n\n"
        sent += f"{len(end):x}\r\n{end}\r\n0\r\n\r\n"
    return sent.encode()


RESET, HANG = b"reset", b"hang"


class Upstream:
    """A server that does to each connection what its script says, and then answers well."""

    def __init__(self, *script: bytes, then: bytes) -> None:
        self.calls = 0
        self._script = list(script)
        self._then = then
        self._held: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(16)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/v1"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            connection.settimeout(5)
            with contextlib.suppress(OSError):
                connection.recv(65536)
                self._treat(connection, self._script.pop(0) if self._script else self._then)

    def _treat(self, connection: socket.socket, what: bytes) -> None:
        if what.endswith(HANG):
            connection.sendall(what.removesuffix(HANG))
            self._held.append(connection)
            return
        if what == RESET:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        else:
            connection.sendall(what)
        connection.close()

    def answer_first(self, what: bytes) -> None:
        """Answer the first of those that hang."""
        self._held[0].sendall(what)

    def close(self) -> None:
        """Let go of everything."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(5)
        for connection in self._held:
            connection.close()


@pytest.fixture
def upstream() -> Iterator[Callable[..., Upstream]]:
    """Make servers that are gone after the test."""
    made: list[Upstream] = []

    def make(*script: bytes, then: bytes | None = None) -> Upstream:
        made.append(Upstream(*script, then=answer() if then is None else then))
        return made[-1]

    with agentperf.testing.fresh_host():
        yield make
    for server in made:
        server.close()


def client(server: Upstream) -> openai.OpenAI:
    """Make a client that leaves retrying to us."""
    return openai.OpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=5)


def async_client(server: Upstream) -> openai.AsyncOpenAI:
    """Make an asynchronous one."""
    return openai.AsyncOpenAI(base_url=server.url, api_key="none", max_retries=0, timeout=5)


async def aread(model: openai.AsyncOpenAI) -> AsyncIterator[str]:
    """Ask for an answer in pieces."""
    messages = [{"role": "user", "content": "count"}]
    chunks = await model.chat.completions.create(model="m", messages=messages, stream=True)  # type: ignore[call-overload]
    async for chunk in chunks:
        if chunk.choices:
            yield chunk.choices[0].delta.content or ""


async def areply(model: openai.AsyncOpenAI) -> Any:
    """Ask for a whole answer."""
    messages = [{"role": "user", "content": "how are you?"}]
    return await model.chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]


def reply(model: openai.OpenAI) -> Any:
    """Ask for a whole answer."""
    messages = [{"role": "user", "content": "how are you?"}]
    return model.chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]


def ask(model: openai.OpenAI) -> str | None:
    """Ask for the text of a whole answer."""
    text: str | None = reply(model).choices[0].message.content
    return text


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(RESET, id="reset"),
        pytest.param(b"not http at all\r\n\r\n", id="garbage"),
        pytest.param(b"", id="closed without a word"),
        pytest.param(half(), id="half an answer"),
        pytest.param(answer("429 Too Many Requests", "{}"), id="429 without header"),
        pytest.param(
            answer("503 Unavailable", "{}", "retry-after: Wed, 21 Oct 2015 07:28:00 GMT"),
            id="Retry-After in the past",
        ),
        pytest.param(answer("500 Error", "<html>oops</html>"), id="500 with garbage"),
    ],
)
def test_what_may_help_is_tried_again(upstream, fault):
    """Two faults of a kind, then the answer."""
    server = upstream(fault, fault)
    model = client(server)
    assert agentperf.retry(backoff=0.01)(ask)(model) == "fine"
    assert server.calls == 3


def test_an_upstream_that_asks_for_a_year_is_believed(upstream):
    """Nobody waits; the error passes through."""
    server = upstream(answer("429 Too Many Requests", "{}", "retry-after: 31536000"))
    with pytest.raises(openai.RateLimitError):
        agentperf.retry(ask)(client(server))
    assert server.calls == 1


def test_an_upstream_that_hangs_is_left(upstream):
    """The attempt is bounded, the next one answers."""
    server = upstream(HANG)
    assert agentperf.retry(per_attempt=0.3, backoff=0.01)(ask)(client(server)) == "fine"
    assert server.calls == 2


def test_a_cut_stream_is_read_again_by_the_function_that_returns_it_whole(upstream):
    """Inside it nothing has been handed out yet, so trying again is safe."""
    server = upstream(stream(2, whole=False), then=stream(4, whole=True))
    model = client(server)

    @agentperf.retry(backoff=0.01)
    def read() -> str:
        messages = [{"role": "user", "content": "count"}]
        chunks = model.chat.completions.create(model="m", messages=messages, stream=True)  # type: ignore[call-overload]
        return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)

    assert read() == "0123"


def test_a_cut_stream_that_was_handed_out_is_an_error(upstream):
    """Its reader has seen two items; they must not come twice."""
    server = upstream(stream(2, whole=False), then=stream(4, whole=True))
    model = client(server)

    @agentperf.retry(backoff=0.01)
    def read() -> Iterator[str]:
        messages = [{"role": "user", "content": "count"}]
        chunks = model.chat.completions.create(model="m", messages=messages, stream=True)  # type: ignore[call-overload]
        for chunk in chunks:
            yield chunk.choices[0].delta.content or ""

    reading = read()
    assert [next(reading), next(reading)] == ["0", "1"]
    with pytest.raises(openai.APIConnectionError):
        next(reading)
    assert server.calls == 1


def test_a_breaker_spares_an_upstream_that_is_down(upstream):
    """After the failures that open it, nothing reaches the socket."""
    server = upstream(*[RESET] * 100)
    model = client(server)
    guarded = agentperf.circuit_breaker(minimum_calls=5, window=5)(ask)
    for _ in range(5):
        with pytest.raises(openai.APIConnectionError):
            guarded(model)
    for _ in range(50):
        with pytest.raises(CircuitOpen):
            guarded(model)
    assert server.calls == 5


def test_a_failure_gives_the_tokens_back(upstream):
    """What was reserved for an answer that never came is there for the next."""
    server = upstream(RESET, RESET, RESET)
    model = client(server)
    limited = agentperf.rate_limited(tokens="100/h", cost=lambda model: 100, max_wait=0)(reply)
    for _ in range(3):
        with pytest.raises(openai.APIConnectionError):
            limited(model)
    assert limited(model).usage.total_tokens == 4
    assert agentperf.handle(limited).limiter.remaining()["tokens"] == 96


def test_a_fallback_answers_for_an_upstream_that_hangs(upstream):
    """The caller waits no longer than it said, and gets an answer; so does the next one."""
    server = upstream(HANG)
    model = client(server)
    guarded = agentperf.fallback("sorry")(agentperf.timeout(0.3)(ask))
    assert guarded(model) == "sorry"
    assert guarded(model) == "fine"


def test_a_stream_that_falls_silent(upstream):
    """Its reader keeps what came, and the request is over when the error is raised."""
    server = upstream(stream(2, whole=False) + HANG, then=stream(4, whole=True))

    async def main() -> None:
        async with async_client(server) as model:
            reading = agentperf.timeout(gap=0.3, first_item=4)(aread)(model)
            assert [await anext(reading), await anext(reading)] == ["0", "1"]
            with pytest.raises(CallTimeout) as caught:
                await anext(reading)
            assert caught.value.limit == "gap"
            again = agentperf.timeout(gap=4)(aread)(model)
            assert [piece async for piece in again] == ["0", "1", "2", "3"]

    asyncio.run(main())


def test_an_upstream_that_hangs_takes_up_no_more_than_its_places(upstream):
    """Others are refused at once, and the places come back with the timeouts."""
    server = upstream(HANG, HANG)

    async def main() -> None:
        async with async_client(server) as model:

            @agentperf.bulkhead(2, queue=0)
            @agentperf.timeout(0.5)
            async def complete() -> str | None:
                messages = [{"role": "user", "content": "how are you?"}]
                made = await model.chat.completions.create(model="m", messages=messages)  # type: ignore[arg-type]
                text: str | None = made.choices[0].message.content
                return text

            ended = await asyncio.gather(*(complete() for _ in range(5)), return_exceptions=True)
            assert [type(end) for end in ended] == [CallTimeout] * 2 + [BulkheadFull] * 3
            assert await complete() == "fine"
            stats = agentperf.handle(complete).bulkhead.stats()
            assert (stats.in_use, stats.rejected) == (0, 3)

    asyncio.run(main())


PATIENT = 1.0
"""Seconds that callers wait for an upstream that hangs."""

FAULTS = {
    "reset": RESET,
    "garbage": b"not http at all\r\n\r\n",
    "closed without a word": b"",
    "half an answer": half(),
    "429 without header": answer("429 Too Many Requests", "{}"),
    "Retry-After in the past": answer(
        "429 Too Many Requests", "{}", "retry-after: Wed, 21 Oct 2015 07:28:00 GMT"
    ),
    "Retry-After in a year": answer("429 Too Many Requests", "{}", "retry-after: 31536000"),
    "500 with garbage": answer("500 Error", "<html>oops</html>"),
    "half of an answer, and then nothing": half() + HANG,
    "nothing": HANG,
}
POLICIES = {
    "timeout": list,
    "bulkhead": lambda: [agentperf.bulkhead(1, queue=0)],
    "budgeted": lambda: [agentperf.budgeted(tokens=1000, calls=10)],
    "all": lambda: [agentperf.budgeted(calls=10), agentperf.bulkhead(1, queue=0)],
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("fault", FAULTS)
def test_one_fault_is_one_failed_call(upstream, fault, policy):
    """The caller hears of it, soon, and nothing is left behind: the next call is answered."""
    server = upstream(FAULTS[fault])
    model = client(server)
    guarded = agentperf.stack(*POLICIES[policy](), agentperf.timeout(PATIENT))(ask)
    with pytest.raises((openai.APIError, CallTimeout)) as caught:
        guarded(model)
    assert isinstance(caught.value, CallTimeout) == FAULTS[fault].endswith(HANG)
    assert guarded(model) == "fine"
    assert server.calls == 2


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fallback_answers_for_every_fault(upstream, fault):
    """And no longer than it lasts."""
    server = upstream(FAULTS[fault])
    model = client(server)
    guarded = agentperf.fallback("sorry")(agentperf.timeout(PATIENT)(ask))
    assert [guarded(model), guarded(model)] == ["sorry", "fine"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hedge_answers_for_an_upstream_that_is_slow_or_fails(upstream, fault):
    """The first attempt hangs and the second one has the fault; then the other way round."""

    async def main() -> None:
        server = upstream(FAULTS[fault], answer())
        async with async_client(server) as model:

            @agentperf.hedged(0.3)
            @agentperf.timeout(4)
            async def complete() -> str | None:
                return (await areply(model)).choices[0].message.content

            if FAULTS[fault].endswith(HANG):
                assert await complete() == "fine"
            else:  # it fails before it is slow, which is for retries to mend
                with pytest.raises(openai.APIError):
                    await complete()
            assert await complete() == "fine"

    asyncio.run(main())


@pytest.mark.parametrize("fault", FAULTS)
def test_a_hedge_that_fails_harms_nobody(upstream, fault):
    """The first attempt was slow only: its answer is taken."""
    server = upstream(HANG, FAULTS[fault])

    async def main() -> None:
        async with async_client(server) as model:
            hedged = agentperf.hedged(0.1)(areply)
            running = asyncio.ensure_future(hedged(model))
            while server.calls < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            server.answer_first(answer())
            made = await running
            assert made.choices[0].message.content == "fine"

    asyncio.run(main())


def test_a_budget_counts_what_was_answered(upstream):
    """Calls that failed are calls, but their tokens are nobody's."""
    server = upstream(RESET, half(), FAULTS["429 without header"], HANG)
    model = client(server)

    @agentperf.timed
    @agentperf.timeout(PATIENT)
    def call(model: openai.OpenAI) -> Any:
        made = reply(model)
        agentperf.record(made)
        return made

    with agentperf.budget(tokens=1000, calls=5) as budget:
        for _ in range(4):
            with pytest.raises((openai.APIError, CallTimeout)):
                call(model)
        assert call(model).usage.total_tokens == 4
        with pytest.raises(BudgetExceeded):
            call(model)
    assert budget.spent.total_tokens == 4
    assert server.calls == 5


def test_half_a_stream_leaves_nothing_behind(upstream):
    """Under all of them the reader gets what came and the error; the next one reads it whole."""
    server = upstream(stream(2, whole=False), then=stream(4, whole=True))

    async def main() -> None:
        async with async_client(server) as model:
            read = agentperf.stack(
                agentperf.budgeted(calls=2),
                agentperf.fallback(aread),
                agentperf.bulkhead(1, queue=0),
                agentperf.timeout(gap=4),
            )(aread)
            reading = read(model)
            assert [await anext(reading), await anext(reading)] == ["0", "1"]
            with pytest.raises(openai.APIError):
                await anext(reading)
            assert [piece async for piece in read(model)] == ["0", "1", "2", "3"]
            assert agentperf.handle(read).bulkhead.stats().in_use == 0

    asyncio.run(main())
