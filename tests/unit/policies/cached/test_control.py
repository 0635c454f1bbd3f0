"""What a computation says of its own answer, in the body of a generator."""

from __future__ import annotations

import anyio
import pytest

from agentperf import cache_control, cache_mode, cached, invalidate
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import FakeClock, fresh_host


@pytest.fixture
def clock():
    """A world whose time passes only by hand."""
    clock = FakeClock()
    with fresh_host(clock):
        yield clock


SAID = [
    ({"store": False}, lambda _: None),
    ({"ttl": "5s"}, lambda clock: clock.advance("6s")),
    ({"tags": "t"}, lambda _: invalidate(tags="t")),
]


@pytest.mark.parametrize(("said", "then"), SAID, ids=["store", "ttl", "tags"])
@pytest.mark.parametrize("mode", [None, "refresh"])
@pytest.mark.parametrize("is_async", [False, True])
@pytest.mark.parametrize("place", ["memory", "bytes"])
@pytest.mark.parametrize("early", [True, False])
def test_a_generator_has_a_say_as_far_as_its_first_item(
    clock, *, said, then, mode, is_async, place, early
):
    """The rest of its body runs when the call has returned."""
    runs = 0

    def body():
        nonlocal runs
        runs += 1
        if early:
            cache_control(**said)
        yield 1
        if not early:
            cache_control(**said)
        yield 2

    async def asynchronous():
        for item in body():
            yield item

    where = "memory" if place == "memory" else MemoryBackend(clock)
    f = cached("1h", tags=(), backend=where)(asynchronous if is_async else body)

    async def collected():
        return [item async for item in f()]

    def read():
        return anyio.run(collected) if is_async else list(f())

    if mode is None:
        assert read() == [1, 2]
    else:
        with cache_mode(mode):
            assert read() == [1, 2]
    then(clock)
    assert read() == [1, 2]
    assert runs == (2 if early else 1)
