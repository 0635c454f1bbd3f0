"""Messages of several providers: their texts, their calls, their tokens."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from agentperf.context.calls import groups, pending
from agentperf.context.counting import Tokens
from agentperf.context.framing import frame_tokens
from agentperf.context.messages import last_user, own_text, texts, with_texts


def calling(*ids):
    """Make a message that calls a tool."""
    calls = [
        {"id": i, "type": "function", "function": {"name": "f", "arguments": "{}"}} for i in ids
    ]
    return {"role": "assistant", "content": None, "tool_calls": calls}


def result(number):
    """Make the result of a call."""
    return {"role": "tool", "tool_call_id": number, "content": "done"}


USER = {"role": "user", "content": "hello"}
USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "u", "name": "f", "input": {}}]}
USED = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "u", "content": "x"}]}


def test_texts_are_found_wherever_they_are():
    """In plain content, in blocks, in results of tools, in outputs."""
    blocks = [{"type": "text", "text": "one"}, {"type": "image_url", "image_url": {"url": "u"}}]
    nested = [{"type": "tool_result", "content": [{"type": "text", "text": "two"}]}]
    assert list(texts(USER)) == [(("content",), "hello")]
    assert list(texts({"content": blocks})) == [(("content", 0, "text"), "one")]
    assert list(texts({"content": nested})) == [(("content", 0, "content", 0, "text"), "two")]
    assert list(texts({"type": "function_call_output", "output": "o"})) == [(("output",), "o")]
    assert list(texts(SimpleNamespace(role="user", content="x"))) == []


def test_a_text_is_replaced_in_a_copy():
    """The message that was given is never touched; what doesn't change is not copied."""
    message = {"role": "user", "id": 7, "content": ({"type": "text", "text": "one"},)}
    changed = with_texts(message, {("content", 0, "text"): "two"})
    assert changed == {"role": "user", "id": 7, "content": ({"type": "text", "text": "two"},)}
    assert message["content"][0]["text"] == "one"
    assert with_texts(message, {("content", 0, "text"): "one"}) is message


def test_the_last_user_message_is_what_the_user_said():
    """Results of tools and marks are not the user's words."""
    mark = {"role": "user", "content": "[... 3 messages (30 tokens) left out ...]"}
    assert last_user([USER, USE, USED, mark]) == 0
    assert last_user([USED]) is None
    assert own_text(
        {"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
    ) == ("a\nb")


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([USER, calling("1"), result("1"), USER], [[0], [1, 2], [3]]),
        ([calling("1", "2"), result("1"), result("2"), USER], [[0, 1, 2], [3]]),
        ([calling("1"), calling("2"), result("1"), result("2")], [[0, 1, 2, 3]]),
        ([USER, USE, USED, USER], [[0], [1, 2], [3]]),
        ([calling("1"), {"role": "tool", "content": "old"}, USER], [[0, 1], [2]]),
        ([USER, {"role": "assistant"}, {"role": "function", "name": "f"}], [[0], [1, 2]]),
        (
            [
                {"type": "reasoning", "summary": []},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "o"},
                USER,
            ],
            [[0, 1, 2], [3]],
        ),
        ([], []),
    ],
)
def test_a_call_and_its_results_are_one_group(messages, expected):
    """In the shapes of the chat, responses and messages interfaces."""
    assert [list(group) for group in groups(messages)] == expected


def test_calls_without_a_result_are_known():
    """They wait for it, and must not go."""
    assert pending([calling("1"), result("1"), calling("2"), USE]) == {2, 3}
    assert pending([USE, USED]) == set()


def test_a_frame_is_what_is_beside_the_texts():
    """Names and calls are counted; ids, roles and pictures' bytes are not."""
    tokens = Tokens(len)
    assert frame_tokens(USER, tokens) == 4
    assert frame_tokens({**USER, "name": "Ada"}, tokens) == 4 + 3 + 1
    assert frame_tokens(calling("a-very-long-id"), tokens) == 4 + 3 + 1 + 2
    assert frame_tokens({**USE}, tokens) == 4 + 3 + 1 + len("{}")
    image = {"type": "image_url", "image_url": {"url": "data:" + "x" * 9999}}
    assert 100 < frame_tokens({"role": "user", "content": [image]}, tokens) < 2000


def test_objects_of_a_client_library_are_counted():
    """They are read by attribute, and all they say is their frame."""
    message = SimpleNamespace(role="assistant", content="hello", tool_calls=None)
    assert frame_tokens(message, Tokens(len)) == 4 + 5
