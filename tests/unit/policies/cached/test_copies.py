"""Nobody can change what others get: copies on the way out, unless nothing can change."""

from __future__ import annotations

import dataclasses
import logging
import socket
import threading
from pathlib import Path

import anyio
import pytest

from agentperf import cached, handle
from agentperf.events import CacheRefused
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import PLAIN, Counted, outcome

pytestmark = pytest.mark.anyio


@dataclasses.dataclass
class Answer:
    """A mutable answer."""

    words: list


class Plain:
    """An answer without equality."""

    def __init__(self, words):
        self.words = words


CHANGEABLE = {
    "list": (lambda: ["a"], lambda v: v.append("spoilt"), lambda v: v == ["a"]),
    "dict": (lambda: {"a": 1}, lambda v: v.clear(), lambda v: v == {"a": 1}),
    "set": (lambda: {1}, lambda v: v.add(2), lambda v: v == {1}),
    "bytearray": (lambda: bytearray(b"a"), lambda v: v.append(1), lambda v: v == b"a"),
    "nested": (lambda: ({"a": [1]},), lambda v: v[0]["a"].append(2), lambda v: v == ({"a": [1]},)),
    "dataclass": (lambda: Answer(["a"]), lambda v: v.words.append(1), lambda v: v.words == ["a"]),
    "object": (lambda: Plain(["a"]), lambda v: setattr(v, "words", 0), lambda v: v.words == ["a"]),
}


@pytest.mark.parametrize("colour", PLAIN)
@pytest.mark.parametrize("mode", ["auto", "copy"])
@pytest.mark.parametrize("kind", CHANGEABLE)
async def test_a_callers_change_reaches_nobody(fresh_host, colour, mode, kind):
    """Whoever computed it, and whoever had a hit, may do what he likes with his answer."""
    make, spoil, sound = CHANGEABLE[kind]
    source = Counted(lambda _: make())
    f = cached(copy=mode)(source.function(colour))
    for _ in range(3):
        value = await outcome(f())
        assert sound(value)
        spoil(value)
    spoil(handle(f).cache.peek())
    assert sound(await outcome(f()))
    assert source.calls == 1


@pytest.mark.parametrize("kind", CHANGEABLE)
async def test_a_followers_change_reaches_nobody(fresh_host, kind):
    """Leader and followers each have an answer of their own."""
    make, spoil, sound = CHANGEABLE[kind]
    seen = []

    @cached
    async def f():
        await anyio.wait_all_tasks_blocked()
        return make()

    async def call():
        value = await f()
        seen.append(sound(value))
        spoil(value)

    async with anyio.create_task_group() as group:
        for _ in range(4):
            group.start_soon(call)
    assert seen == [True] * 4
    assert sound(await f())
    assert handle(f).cache.stats().misses == 1


@pytest.mark.parametrize("colour", PLAIN)
async def test_sharing_hands_out_the_very_object(fresh_host, colour):
    """`copy="share"` is for answers that nobody changes, copyable or not."""
    answer = Plain(threading.Lock())
    f = cached(copy="share")(Counted(lambda _: answer).function(colour))
    assert [await outcome(f()) is answer for _ in range(3)] == [True] * 3


@pytest.mark.parametrize("colour", PLAIN)
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (threading.Lock, "it can't be copied"),
        (lambda: Plain(threading.Lock()), "it can't be copied"),
        (lambda: {"deep": [threading.Lock()]}, "it can't be copied"),
        (socket.socket, "it can't be copied"),
        (lambda: map(str, [1]), "it can be read only once"),
        (lambda: Path(__file__).open("rb"), "it can be read only once"),  # noqa: SIM115 - below
    ],
    ids=["lock", "object", "nested", "socket", "iterator", "file"],
)
async def test_what_cannot_be_copied_is_returned_but_not_kept(fresh_host, colour, make, reason):
    """The caller has it as computed; that it was refused is counted and told, with the reason."""
    source = Counted(lambda _: make())
    f = cached(source.function(colour))
    with recorded(CacheRefused) as log:
        values = [await outcome_kept(f()), await outcome_kept(f())]
    assert source.calls == 2
    assert values[0] is not values[1]
    for value in values:
        if hasattr(value, "close"):
            value.close()
    assert [event.reason for event in log] == [reason] * 2
    stats = handle(f).cache.stats()
    assert (stats.refused, stats.stored, stats.size) == (2, 0, 0)


async def outcome_kept(call):
    """Await where there is something to await; leave iterators unread."""
    return await call if hasattr(call, "__await__") else call


async def test_an_iterator_cannot_even_be_shared(fresh_host):
    """`copy="share"` doesn't make one reader of it into two."""
    f = cached(copy="share")(lambda: iter([1]))
    assert [list(f()), list(f())] == [[1], [1]]


def test_what_cannot_be_copied_is_logged_once(fresh_host, caplog):
    """Once tells it; every call would flood the log."""
    f = cached(lambda x: threading.Lock())
    with caplog.at_level(logging.WARNING, "agentperf"):
        for n in range(3):
            f(n)
    assert [record.message.split()[0] for record in caplog.records] == ["cache.uncopyable"]


def test_an_answer_whose_copying_fails_in_its_own_way_is_refused(fresh_host):
    """Whatever its `__deepcopy__` raises stays inside."""

    class Unwilling:
        def __deepcopy__(self, memo):
            raise RuntimeError("never")

    f = cached(Counted(lambda _: Unwilling()).function("sync"))
    assert isinstance(f(), Unwilling)
    assert handle(f).cache.stats().refused == 1


def test_an_answer_that_contains_itself(fresh_host):
    """Is copied with its loop."""

    def make():
        answer = [1]
        answer.append(answer)
        return answer

    f = cached(make)
    f()
    again = f()
    assert again[1] is again


def test_what_is_one_object_stays_one(fresh_host):
    """An answer that holds the same thing twice is copied as such, and only once."""

    @cached
    def f():
        parent = Plain(["root"])
        shared = ["x"]
        children = [Plain(parent), Plain(parent)]
        for _ in range(60):  # copied one by one, these would be 2**60 lists
            shared = [shared, shared]
        return [children, {"a": shared, "b": shared}]

    f()
    children, lists = f()
    assert children[0] is not children[1]
    assert children[0].words is children[1].words
    assert lists["a"] is lists["b"]
