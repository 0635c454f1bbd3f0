"""What holds for every prompt: budget, protected parts, type, order, stability."""

from __future__ import annotations

import json

from hypothesis import assume, given
from hypothesis import strategies as st

from agentperf.context import compress
from agentperf.errors import ContextWindowExceeded

WORDS = [
    "the",
    "river",
    "runs",
    "past",
    "old",
    "mills",
    "near",
    "42",
    "Oslo",
    "and",
    "code",
    "AX-77",
    "failed",
    "with",
    "error",
    "at",
    "10:31",
]
FENCE = "```python\nx = 1  # one\n```\n"
DOCUMENT = json.dumps(
    [{"id": n, "name": f"item {n}", "tags": ["a", "b"]} for n in range(30)], indent=2
)

words = st.lists(st.sampled_from(WORDS), min_size=1, max_size=14).map(" ".join)
sentences = words.map(lambda text: f"{text[0].upper()}{text[1:]}. ")
logs = st.integers(0, 99).map(
    lambda n: f"2026-01-0{n % 9 + 1} 10:00:{n:02} INFO worker {n} is done\n"
)
blocks = st.one_of(
    words.map(lambda text: f"{text}\n"),
    st.lists(sentences, max_size=8).map(lambda parts: f"{''.join(parts)}\n\n"),
    words.map(lambda text: f"# {text}\n\n"),
    words.map(lambda text: f"- {text}\n"),
    st.lists(logs, max_size=20).map("".join),
    st.sampled_from([FENCE, f"{DOCUMENT}\n", "same old line of text here\n" * 5]),
    st.text(max_size=60),
)
texts = st.lists(blocks, max_size=12).map("".join)
counters = st.sampled_from(
    [
        len,
        lambda text: len(text.split()),
        lambda text: (len(text.encode("utf-8", "replace")) + 3) // 4,
    ]
)
queries = st.one_of(st.none(), words)


def plain(role):
    """Make a message."""
    return st.builds(lambda text: [{"role": role, "content": text}], texts)


def called(number, text):
    """Make a call and its result in the shape of the chat interface."""
    call = {
        "id": f"call-{number}",
        "type": "function",
        "function": {"name": "look", "arguments": "{}"},
    }
    return [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": f"call-{number}", "content": text},
    ]


def used(number, text):
    """Make a call and its result in the shape of the messages interface."""
    return [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": f"use-{number}", "name": "look", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": f"use-{number}", "content": text}],
        },
    ]


turns = st.one_of(
    plain("user"),
    plain("assistant"),
    plain("system"),
    st.builds(called, st.integers(0, 9**9), texts),
    st.builds(used, st.integers(0, 9**9), texts),
)
chats = st.lists(turns, min_size=1, max_size=8).map(
    lambda parts: [m for part in parts for m in part]
)


@given(texts, st.integers(1, 400), counters, queries)
def test_a_text_never_exceeds_its_budget(text, budget, count, query):
    """The result fits, marks included, or the call raises."""
    try:
        result = compress(text, max_tokens=budget, count=count, query=query)
    except ContextWindowExceeded:
        return
    assert count(result.value) <= budget
    assert result.report.tokens_after == count(result.value)
    assert type(result.value) is str


@given(texts, st.integers(1, 400), counters, queries)
def test_compressing_a_text_again_changes_nothing(text, budget, count, query):
    """A second compression with the same options returns what the first one returned."""
    once = compress(text, max_tokens=budget, count=count, query=query, on_fail="keep")
    assume(once.report.fits)
    again = compress(once.value, max_tokens=budget, count=count, query=query)
    assert again.value == once.value
    assert again.report.ratio == 1.0


@given(texts, counters)
def test_the_lossless_stages_are_stable(text, count):
    """Without a target a second compression finds nothing more."""
    once = compress(text, count=count).value
    assert compress(once, count=count).value == once
    assert count(once) <= count(text)


@given(chats, st.integers(1, 600), counters)
def test_messages_never_exceed_their_budget(messages, budget, count):
    """The texts fit, the order holds, what is protected is there, calls keep their results."""
    given_before = json.dumps(messages)
    try:
        result = compress(messages, max_tokens=budget, count=count)
    except ContextWindowExceeded:
        return
    assert type(result.value) is list
    assert json.dumps(messages) == given_before
    assert result.report.tokens_after <= budget
    assert sum(map(count, spoken(result.value))) <= budget
    assert_whole(messages, result.value)


@given(chats, st.integers(1, 600), counters)
def test_compressing_messages_again_changes_nothing(messages, budget, count):
    """What fits stays as it is."""
    once = compress(messages, max_tokens=budget, count=count, on_fail="keep")
    assert_whole(messages, once.value)
    assume(once.report.fits)
    assert compress(once.value, max_tokens=budget, count=count).value == once.value


@given(chats, counters)
def test_lossless_stages_leave_all_messages(messages, count):
    """Without a target no message goes, and a second compression finds nothing more."""
    once = compress(messages, count=count).value
    assert [shell(message) for message in once] == [shell(message) for message in messages]
    assert compress(once, count=count).value == once


@given(texts, st.sampled_from(WORDS), st.integers(50, 400), counters)
def test_what_must_stay_is_there(text, word, budget, count):
    """Each line with the word is in the result, as often as in the text."""
    result = compress(text, max_tokens=budget, count=count, keep=word, on_fail="keep").value
    assert result.count(word) >= text.count(word)


@given(texts, st.floats(0.05, 1), counters)
def test_a_share_never_makes_it_longer(text, ratio, count):
    """An aim that can't be reached is no error, and nothing gets worse."""
    result = compress(text, ratio=ratio, count=count)
    assert count(result.value) == result.report.tokens_after <= result.report.tokens_before
    assert result.report.fits == (result.report.tokens_after <= result.report.target)


def spoken(messages):
    """List all texts."""
    for message in messages:
        for block in message["content"] if isinstance(message["content"], list) else [message]:
            if isinstance(block.get("content"), str):
                yield block["content"]


def shell(message):
    """Return a message without what may be shortened."""
    if isinstance(message["content"], list):
        return {**message, "content": [{**block, "content": ""} for block in message["content"]]}
    return {**message, "content": ""}


def assert_whole(before, after):
    """What is protected is unchanged, what stays is in order, calls and results are together."""
    kept = [shell(m) for m in after if not str(m["content"]).startswith("[... ")]
    rest = iter([shell(m) for m in before])
    assert all(message in rest for message in kept)
    protected = [m for m in before if m["role"] == "system"]
    protected += [
        m for m in before if m["role"] == "user" and isinstance(m["content"], str) and m["content"]
    ][-1:]
    assert all(message in after for message in protected)
    text = json.dumps(after)
    for number in {m["tool_call_id"] for m in before if "tool_call_id" in m}:
        assert text.count(f'"{number}"') in {0, json.dumps(before).count(f'"{number}"')}
