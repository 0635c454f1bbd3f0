"""The conversations that the demo plays."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from agentperf.demo.conversations import Message, load, parse, repeated
from agentperf.errors import ConfigurationError


def test_a_line_is_a_message() -> None:
    """Profile and text are needed, the rest has defaults."""
    short = '{"profile": "a", "text": "Hello."}'
    full = '{"profile": "a", "session": "s", "text": "T?", "expect": ["x"], "private": true}'
    assert parse(f"{short}\n\n{full}\n", "it") == [
        Message("a", "all", "Hello."),
        Message("a", "s", "T?", ("x",), private=True),
    ]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "not JSON"),
        ("[]", "not a JSON object"),
        ('{"profile": "a"}', "'text' must be"),
        ('{"profile": "", "text": "x"}', "'profile' must be"),
        ('{"profile": "a", "text": 7}', "'text' must be"),
        ('{"profile": "a", "text": "x", "expects": []}', "did you mean 'expect'"),
        ('{"profile": "a", "text": "x", "zzz": 1}', "known are profile"),
        ('{"profile": "a", "text": "x", "expect": "y"}', "'expect' must be a list"),
        ('{"profile": "a", "text": "x", "expect": [1]}', "'expect' must be a list"),
        ('{"profile": "a", "text": "x", "session": 1}', "'session' must be"),
        ('{"profile": "a", "text": "x", "private": 1}', "'private' must be"),
    ],
)
def test_a_malformed_line_is_named(line: str, problem: str) -> None:
    """The error says which line, what is wrong with it and what a good one looks like."""
    good = '{"profile": "a", "text": "x"}'
    with pytest.raises(ConfigurationError) as caught:
        parse(f"{good}\n\n{line}", "talk.jsonl")
    assert "talk.jsonl, line 3" in str(caught.value)
    assert problem in str(caught.value)
    assert '{"profile": "anna"' in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """The error names option and file and shows what is expected."""
    with pytest.raises(ConfigurationError, match=r"--input .*nowhere.jsonl can't be read"):
        load(tmp_path / "nowhere.jsonl")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """A picture is not taken for conversations."""
    file = tmp_path / "picture.png"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load(file)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_an_empty_file_is_refused(tmp_path: Path, text: str) -> None:
    """Nothing to play is an error, not an empty table."""
    file = tmp_path / "empty.jsonl"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match="holds no message"):
        load(file)


def test_repeated_messages_are_those_a_profile_said_before() -> None:
    """The same words of another profile are no repetition."""
    said = [Message("a", "s", "x"), Message("b", "s", "x"), Message("a", "t", "x")]
    assert repeated(said) == [False, False, True]


def test_the_sample_has_what_the_demo_needs() -> None:
    """Several conversations, a good part repeated, and facts planted before they are asked for."""
    messages = load()
    assert 30 <= len(messages) <= 40
    assert len({message.session for message in messages}) >= 5
    assert sum(repeated(messages)) / len(messages) > 0.33
    told: Counter[str] = Counter()
    for message in messages:
        for word in message.expect:
            assert word == "don't know" or word in str(told), message
        told[f"{message.profile}: {message.text}"] += 1


def test_in_the_sample_a_fact_changes() -> None:
    """One question is asked again after its answer has changed."""
    answers: dict[tuple[str, str], set[tuple[str, ...]]] = {}
    for message in load():
        answers.setdefault((message.profile, message.text), set()).add(message.expect)
    assert max(map(len, answers.values())) == 2
