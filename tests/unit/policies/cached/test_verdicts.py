"""Replies of models that are no answers are not kept; all else is."""

from __future__ import annotations

import dataclasses
import logging
import types
from unittest.mock import MagicMock

import anyio
import pytest

from agentperf import ConfigurationError, cached, events, handle
from agentperf.policies.cached import verdicts
from agentperf.policies.cached.state import Recording
from agentperf.policies.cached.verdicts import unfit
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import COLOURS, PLAIN, Counted, outcome
from tests.unit.policies.cached.test_freshness import WHERE, place

pytestmark = pytest.mark.anyio


def chat(finish="stop", **message):
    """A chat completion."""
    message = {"content": "yes", **message}
    return {"object": "chat.completion", "choices": [{"finish_reason": finish, "message": message}]}


def response(status="completed", **more):
    """A response."""
    said = [{"type": "message", "content": [{"type": "output_text", "text": "yes"}]}]
    return {"object": "response", "status": status, "error": None, "output": said, **more}


def message(stop="end_turn", content=({"type": "text", "text": "yes"},)):
    """A message."""
    return {"type": "message", "role": "assistant", "stop_reason": stop, "content": list(content)}


def chunk(finish=None, **delta):
    """A chunk of a chat completion."""
    return {"choices": [{"finish_reason": finish, "delta": delta}]}


def stream(*items):
    """A stream that was read to its end."""
    return Recording(tuple(items), None, is_async=False)


def delta(stop):
    """The event of a message stream that says why it ends."""
    return {"type": "message_delta", "delta": {"stop_reason": stop}}


USAGE = {"choices": [], "usage": {"total_tokens": 3}}
START = {"type": "message_start", "message": {}}
ERROR = {"message": "overloaded", "type": "server_error"}
REFUSAL = [{"type": "message", "content": [{"type": "refusal", "refusal": "no"}]}]
GOOD = {
    "chat": chat(),
    "tools": chat("tool_calls", content=None, tool_calls=[{"id": "1"}]),
    "old function": chat("function_call", content=None, function_call={"name": "f"}),
    "another ending": chat("eos"),
    "no refusal": chat(refusal=None),
    "completion": {"choices": [{"finish_reason": "stop", "text": "yes"}]},
    "response": response(),
    "response with reasoning": response(output=[{"type": "reasoning"}, {"type": "function_call"}]),
    "message": message(),
    "message with tool": message("tool_use", [{"type": "tool_use"}]),
    "stop sequence": message("stop_sequence"),
    "chat stream": stream(chunk(content="y"), chunk("stop"), USAGE),
    "message stream": stream(START, delta("end_turn"), {"type": "message_stop"}),
    "response stream": stream({"type": "response.created"}, {"type": "response.completed"}),
    "stream of text": stream("a", "", "b"),
    "empty stream": stream(),
    "nothing": None,
    "empty text": "",
    "empty list": [],
    "empty dict": {},
    "a list of errors": [{"error": "x"}],
    "something with an error in it": {"error": "not found", "id": 5},
    "no error": {"error": None, "data": 1},
    "choices of another kind": {"choices": ["red", "blue"]},
    "no choices of another kind": {"choices": []},
    "a stream of choices of another kind": stream({"choices": [{"id": 1}]}),
    "an odd dict": {"choices": "abc", "type": "message"},
    "a message of another kind": {"type": "message", "content": "hello"},
    "a list of bytes": stream(b"x"),
}
BAD = [
    (chat("length"), verdicts.CUT_OFF),
    (chat(None), verdicts.CUT_OFF),
    (chat("content_filter"), verdicts.FILTERED),
    (chat(content=None, refusal="I can't"), verdicts.REFUSED),
    (chat(content=""), verdicts.EMPTY),
    (chat(content=None), verdicts.EMPTY),
    ({"object": "chat.completion", "choices": []}, verdicts.EMPTY),
    ({"choices": [{"finish_reason": "stop", "text": ""}]}, verdicts.EMPTY),
    ({"choices": [*chat()["choices"], *chat("length")["choices"]]}, verdicts.CUT_OFF),
    (response("incomplete", incomplete_details={"reason": "max_output_tokens"}), verdicts.CUT_OFF),
    (response("incomplete", incomplete_details=None), verdicts.CUT_OFF),
    (
        response("incomplete", incomplete_details={"reason": "content_filter"}),
        verdicts.FILTERED,
    ),
    (response("in_progress"), verdicts.CUT_OFF),
    (response("cancelled"), verdicts.CUT_OFF),
    (response("failed"), verdicts.FAILED),
    (response(error=ERROR), verdicts.FAILED),
    (response(output=[]), verdicts.EMPTY),
    (response(output=REFUSAL), verdicts.REFUSED),
    (message("max_tokens"), verdicts.CUT_OFF),
    (message("pause_turn"), verdicts.CUT_OFF),
    (message(None), verdicts.CUT_OFF),
    (message("refusal"), verdicts.REFUSED),
    (message(content=()), verdicts.EMPTY),
    (message(content=[{"type": "text", "text": ""}]), verdicts.EMPTY),
    ({"error": ERROR}, verdicts.FAILED),
    ({"type": "error", "error": ERROR}, verdicts.FAILED),
    ({"error": "model not found"}, verdicts.FAILED),
    (stream(chunk(content="y"), chunk("length")), verdicts.CUT_OFF),
    (stream(chunk(content="y"), chunk(content="e")), verdicts.CUT_OFF),
    (stream(chunk("content_filter")), verdicts.FILTERED),
    (stream(chunk(refusal="no"), chunk("stop")), verdicts.REFUSED),
    (stream(START, delta("max_tokens")), verdicts.CUT_OFF),
    (stream(START), verdicts.CUT_OFF),
    (stream(START, delta("refusal")), verdicts.REFUSED),
    (stream(START, {"type": "error", "error": ERROR}), verdicts.FAILED),
    (stream(chunk(content="y"), {"error": ERROR}), verdicts.FAILED),
    (stream({"type": "response.failed"}), verdicts.FAILED),
    (
        stream({"type": "response.incomplete", "response": response("incomplete")}),
        verdicts.CUT_OFF,
    ),
]


def as_objects(value):
    """The same, as a client's library would give it: attributes in place of keys."""
    if isinstance(value, Recording):
        return dataclasses.replace(value, items=tuple(map(as_objects, value.items)))
    if isinstance(value, dict):
        return types.SimpleNamespace(**{name: as_objects(held) for name, held in value.items()})
    return [as_objects(held) for held in value] if isinstance(value, list) else value


@pytest.mark.parametrize("form", [lambda x: x, as_objects], ids=["dicts", "objects"])
@pytest.mark.parametrize("name", GOOD)
def test_what_is_good_or_unknown_may_be_kept(name, form):
    """There is nothing against it."""
    assert unfit(form(GOOD[name])) is None


@pytest.mark.parametrize("form", [lambda x: x, as_objects], ids=["dicts", "objects"])
@pytest.mark.parametrize(("reply", "reason"), BAD)
def test_what_is_no_answer_is_told_by_its_shape(reply, reason, form):
    """As dicts and as objects, but for the error that is nothing but a text in a dict."""
    expected = None if form is as_objects and reply == {"error": "model not found"} else reason
    assert unfit(form(reply)) == expected


def test_a_stand_in_that_has_everything_is_no_reply():
    """Mocks have any attribute, but of no type that counts."""
    assert unfit(MagicMock()) is None


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("colour", PLAIN)
async def test_a_reply_that_is_no_answer_is_not_kept(fresh_host, fake_clock, colour, where):
    """The caller gets it, the reason is told, the next call computes."""
    source = Counted(lambda _: chat("length"))
    f = cached(backend=place(where, fake_clock), name="v")(source.function(colour))
    with recorded(events.CacheRefused) as log:
        for _ in range(2):
            assert await outcome(f()) == chat("length")
    assert source.calls == 2
    assert [event.reason for event in log] == ["the reply was cut off"] * 2
    assert handle(f).cache.stats().stored == 0


@pytest.mark.parametrize("colour", COLOURS)
async def test_everything_is_kept_on_request(fresh_host, colour):
    """For those who know better."""
    source = Counted(lambda _: [chunk(content="y")])
    f = cached(store_if="always")(source.function(colour))
    for _ in range(2):
        await outcome(f())
    assert source.calls == 1


@pytest.mark.parametrize("colour", COLOURS)
async def test_the_user_decides_what_is_kept(fresh_host, colour):
    """Over the result; of a stream, over its items."""
    source, seen = Counted(lambda x: [x]), []

    def store_if(answer):
        seen.append(answer)
        return 1 in answer

    f = cached(store_if=store_if)(source.function(colour))
    for x in (0, 1, 0, 1):
        await outcome(f(x))
    assert source.calls == 3
    assert [list(answer) for answer in seen] == [[0], [1], [0]]
    assert handle(f).cache.stats().refused == 2


async def test_a_verdict_that_fails_is_told_once(fresh_host, caplog):
    """The caller gets the answer, which is not kept."""
    f = cached(store_if=lambda answer: answer.score > 1)(Counted().function("sync"))
    with recorded(events.CacheRefused) as log, caplog.at_level(logging.WARNING, "agentperf"):
        assert [f(), f()] == [[0], [0]]
    assert caplog.text.count("cache.no_verdict") == 1
    assert [event.reason for event in log] == ["store_if failed"] * 2


async def test_a_reply_that_cannot_be_looked_at_is_kept(fresh_host):
    """A property that raises says nothing against it."""

    class Odd:
        @property
        def error(self):
            raise RuntimeError

    source = Counted(lambda _: Odd())
    f = cached(copy="share")(source.function("sync"))
    f()
    assert f() is f()
    assert source.calls == 1


async def test_who_waits_gets_what_is_not_kept(fresh_host):
    """It was asked for at the same time, and paid for once."""
    calls = []

    @cached
    async def f():
        calls.append(1)
        await anyio.wait_all_tasks_blocked()
        return chat("length")

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(f)
    assert len(calls) == 1


@pytest.mark.parametrize("value", [True, False, "never", 5, ""])
def test_nonsense_is_refused(value):
    """With how to write it."""
    with pytest.raises(ConfigurationError, match=r"^store_if=.*a callable over the result"):
        cached(store_if=value)
