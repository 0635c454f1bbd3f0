"""Streams of the openai client: a miss, a follower and a hit behave like what the client gives."""

from __future__ import annotations

import threading

import anyio
import httpx2
import openai
import pytest
from openai.types.chat import ChatCompletionChunk

import agentperf
from agentperf import handle
from agentperf.testing import FakeLLM
from tests.unit.policies.cached.calls import auntil, figures

MESSAGES = [{"role": "user", "content": "Where does Clara live?"}]
# Under trio the client's own generators warn when they go, decorated or not.
ON_ASYNCIO = pytest.mark.parametrize("anyio_backend", ["asyncio"])
pytestmark = pytest.mark.anyio
MISS, FOLLOWER, HIT = "miss", "follower", "hit"


@pytest.fixture(params=["memory", "sqlite"])
def backend(request, tmp_path):
    """Give a place for a cache."""
    return "memory" if request.param == "memory" else f"sqlite:{tmp_path}/answers.db"


@pytest.fixture
def llm():
    """Give a server."""
    with FakeLLM() as llm:
        yield llm


def blocking(llm, backend):
    """Give a cached function that returns a client's stream."""
    client = openai.OpenAI(base_url=llm.base_url, api_key="none")

    @agentperf.cached(backend=backend, name="chat")
    def chat(question: str) -> openai.Stream[ChatCompletionChunk]:
        return client.chat.completions.create(model="small", messages=MESSAGES, stream=True)

    return chat, client


def awaited(llm, backend):
    """Give the same for the asynchronous client."""
    client = openai.AsyncOpenAI(base_url=llm.base_url, api_key="none")

    @agentperf.cached(backend=backend, name="chat")
    async def chat(question: str) -> openai.AsyncStream[ChatCompletionChunk]:
        return await client.chat.completions.create(model="small", messages=MESSAGES, stream=True)

    return chat, client


def test_blocking_streams_are_alike(fresh_host, backend, llm):
    """Class, iteration, `with`, `close`; the response where there is one."""
    chat, client = blocking(llm, backend)
    with client:
        streams = {MISS: chat("a"), FOLLOWER: chat("a")}
        first = {role: next(stream) for role, stream in streams.items()}
        assert first[MISS] == first[FOLLOWER]
        assert first[MISS] is not first[FOLLOWER]
        for stream in streams.values():
            assert isinstance(stream.response, httpx2.Response)
            assert stream.response.status_code == 200
        chunks = {role: [first[role], *stream] for role, stream in streams.items()}
        streams[HIT] = chat("a")
        with streams[HIT] as entered:
            assert entered is streams[HIT]
            chunks[HIT] = list(entered)
        assert chunks[MISS] == chunks[FOLLOWER] == chunks[HIT]
        assert {type(chunk) for chunk in chunks[HIT]} == {ChatCompletionChunk}
        for stream in streams.values():
            assert isinstance(stream, openai.Stream)
            assert "Stream" in repr(stream)
            assert list(stream) == []
            stream.close()
        with pytest.raises(AttributeError, match="replayed from a cache and has no 'response'"):
            _ = streams[HIT].response
        assert not hasattr(streams[HIT], "response")
    assert llm.stats().calls == 1
    assert figures(chat) == (1, 1, 1)


@ON_ASYNCIO
async def test_awaited_streams_are_alike(fresh_host, backend, llm):
    """The same with `async with` and `await close()`."""
    chat, client = awaited(llm, backend)
    async with client:
        streams = {MISS: await chat("a"), FOLLOWER: await chat("a")}
        first = {role: await anext(stream) for role, stream in streams.items()}
        for stream in streams.values():
            assert isinstance(stream.response, httpx2.Response)
            assert stream.response.status_code == 200
        chunks = {
            role: [first[role], *[chunk async for chunk in stream]]
            for role, stream in streams.items()
        }
        streams[HIT] = await chat("a")
        async with streams[HIT] as entered:
            assert entered is streams[HIT]
            chunks[HIT] = [chunk async for chunk in entered]
        assert chunks[MISS] == chunks[FOLLOWER] == chunks[HIT]
        for stream in streams.values():
            assert isinstance(stream, openai.AsyncStream)
            assert [chunk async for chunk in stream] == []
            await stream.close()
        with pytest.raises(AttributeError, match="replayed from a cache and has no 'response'"):
            _ = streams[HIT].response
    assert llm.stats().calls == 1
    assert figures(chat) == (1, 1, 1)


@ON_ASYNCIO
async def test_tasks_share_one_request(fresh_host, backend, llm):
    """Ten at once, one of which is cancelled, one closes, and one leaves its `async with`."""
    chat, client = awaited(llm, backend)
    whole = []

    async def read(count=None):
        async with await chat("a") as stream:
            chunks = []
            async for chunk in stream:
                chunks.append(chunk)
                if len(chunks) == count:
                    return
        whole.append(chunks)

    async with client, anyio.create_task_group() as group:
        leaving = anyio.CancelScope()

        async def cancelled():
            with leaving:
                await read()

        group.start_soon(cancelled)
        group.start_soon(read, 1)
        group.start_soon(read, 2)
        for _ in range(7):
            group.start_soon(read)
        await auntil(lambda: llm.stats().calls)
        leaving.cancel()
    assert len(whole) == 7
    assert all(chunks == whole[0] for chunks in whole)
    assert llm.stats().calls == 1


@ON_ASYNCIO
async def test_closing_the_response_is_leaving(fresh_host, llm):
    """Some code closes that instead of the stream: the others read on, the last one closes it."""
    chat, client = awaited(llm, "memory")
    async with client:
        first, second = await chat("a"), await chat("a")
        await anext(first)
        await first.response.aclose()
        response = second.response
        assert not response.is_closed
        await anext(second)
        await response.aclose()
        assert response.is_closed
        assert [chunk async for chunk in second] == []
    assert handle(chat).cache.stats().size == 0


def test_closing_a_blocking_response_is_leaving(fresh_host, llm):
    """The same."""
    chat, client = blocking(llm, "memory")
    with client:
        first, second = chat("a"), chat("a")
        response = first.response
        response.close()
        assert not response.is_closed
        assert "200" in repr(response)
        second.close()
        assert response.is_closed


def test_threads_share_one_request(fresh_host, llm):
    """Five at once."""
    chat, client = blocking(llm, "memory")
    meeting, whole = threading.Barrier(5), []

    def read():
        meeting.wait(20)
        with agentperf.use(fresh_host), chat("a") as stream:
            whole.append(list(stream))

    with client:
        threads = [threading.Thread(target=read) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert len(whole) == 5
    assert all(chunks == whole[0] for chunks in whole)
    assert llm.stats().calls == 1
