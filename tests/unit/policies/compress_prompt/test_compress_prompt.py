"""Prompts that are made shorter on their way."""

from __future__ import annotations

import json

import pytest

from agentperf.errors import ConfigurationError, ContextWindowExceeded
from agentperf.events import PromptCompressed
from agentperf.policies.compress_prompt import compress_prompt
from agentperf.testing import FakeClock, fresh_host, recorded

FACTS = "\n".join(f"Item {n} is about topic {n * 7 % 13}." for n in range(100))
MESSAGES = [
    {"role": "system", "content": "You are kind."},
    {"role": "user", "content": f"{FACTS}\nAnna likes jazz music."},
    {"role": "user", "content": "What music does Anna like?"},
]


@pytest.fixture(autouse=True)
def host():
    """A fresh host."""
    with fresh_host(FakeClock()) as host:
        yield host


def test_the_prompt_is_shortened_and_what_the_question_needs_survives():
    """Roles and order stay; the caller's own list is not touched."""
    before = [dict(message) for message in MESSAGES]
    sent = compress_prompt(max_tokens=120)(lambda messages: messages)(MESSAGES)
    assert before == MESSAGES
    assert [message["role"] for message in sent] == ["system", "user", "user"]
    assert "Anna likes jazz music." in sent[1]["content"]
    assert "left out" in sent[1]["content"]
    assert sent[0] == MESSAGES[0]
    assert sent[2] == MESSAGES[2]


@pytest.mark.anyio
async def test_every_shape_and_every_way_to_pass_it():
    """By position, by keyword, among other arguments; sync, async, streams, methods."""
    limit = compress_prompt(ratio=0.2)

    class Client:
        @limit
        def plain(self, model, messages, *, seed=0):
            return messages

        @limit
        async def later(self, messages):
            return messages

        @limit
        def stream(self, messages):
            yield from messages

    client = Client()
    sent = [
        client.plain("m", MESSAGES),
        client.plain("m", messages=MESSAGES, seed=1),
        await client.later(MESSAGES),
        list(client.stream(MESSAGES)),
    ]
    assert sent[0] != MESSAGES
    assert all(one == sent[0] for one in sent)


def test_without_an_aim_nothing_that_counts_is_lost():
    """Bare: white space of JSON goes, the data stays."""

    @compress_prompt
    def ask(prompt):
        return prompt

    rows = [{"name": f"n{number}", "size": number} for number in range(20)]
    sent = ask(json.dumps(rows, indent=4))
    assert sent == json.dumps(rows, separators=(",", ":"))
    assert ask("plain words") == "plain words"


def test_the_query_may_be_computed():
    """A callable over the call's arguments says what the parts are ranked by."""

    @compress_prompt("context", max_tokens=60, query=lambda context, question: question)
    def ask(context, question):
        return context

    assert "jazz" in ask(f"{FACTS}\nAnna likes jazz music.\n{FACTS}", "What music does Anna like?")


def test_what_must_stay_and_does_not_fit():
    """An error by default, the least that can be reached on request."""
    with pytest.raises(ContextWindowExceeded, match="max_tokens=3"):
        compress_prompt(max_tokens=3)(lambda messages: messages)(MESSAGES)
    sent = compress_prompt(max_tokens=3, on_fail="keep")(lambda messages: messages)(MESSAGES)
    assert sent[-1] == MESSAGES[-1]


def test_a_compression_is_told_once():
    """With its numbers, and nothing of the prompt."""
    work = compress_prompt(max_tokens=120)(lambda messages: messages)
    with recorded(PromptCompressed) as log:
        work(MESSAGES)
        work(MESSAGES[-1:])
    (event,) = log.of(PromptCompressed)
    assert event.tokens_after <= 120 < event.tokens_before
    assert event.cuts >= 1


def test_what_is_no_prompt_passes():
    """None, or a thing that is neither text nor messages."""
    work = compress_prompt(max_tokens=10)(lambda prompt=None: prompt)
    assert work() is None
    assert work(5) == 5


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: compress_prompt(max_tokens=0), "max_tokens=0"),
        (lambda: compress_prompt(ratio=2), "ratio=2"),
        (lambda: compress_prompt(on_fail="cry"), "on_fail='cry'"),
        (lambda: compress_prompt(5), "arg=5"),
        (lambda: compress_prompt(max_tokns=5), "did you mean max_tokens"),
        (lambda: compress_prompt("x")(lambda messages: 1), "arg='x'"),
        (lambda: compress_prompt(lambda one, two: 1), "Say it"),
    ],
)
def test_bad_options_are_refused_before_any_call(make, said):
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=said):
        make()


def boom(*_):
    """Fail as a user's callable may."""
    raise LookupError("no such field")


@pytest.mark.parametrize("option", ["query", "keep"])
def test_what_the_users_callables_raise_reaches_the_caller(option):
    """Sending the whole prompt instead would break the limit, and nobody would know."""
    work = compress_prompt(max_tokens=120, **{option: boom})(lambda messages: messages)
    with pytest.raises(LookupError, match="no such field"):
        work(MESSAGES)


def test_the_place_of_the_prompt_is_found_at_the_call():
    """A client's method has many parameters that could hold one; most are left out."""

    class Omit:
        """Stands for nothing."""

    omit = Omit()

    def create(*, prompt=omit, input=omit, model="gpt-4o"):  # noqa: A002
        return input

    assert len(compress_prompt(max_tokens=60)(create)(input=FACTS)) < len(FACTS) / 2
    assert isinstance(compress_prompt(max_tokens=60)(create)(), Omit)


@pytest.mark.parametrize("prompt", [{"text": FACTS}, FACTS.encode(), [FACTS], iter([FACTS])])
def test_a_limit_is_not_passed_over_in_silence(prompt):
    """What can't be made shorter is an error where a limit was asked for, and else sent."""
    with pytest.raises(ConfigurationError, match="prompt is a"):
        compress_prompt(max_tokens=60)(lambda prompt: prompt)(prompt)
    assert compress_prompt(ratio=0.5)(lambda prompt: prompt)(prompt) is prompt
    keeps = compress_prompt(max_tokens=60, on_fail="keep")(lambda prompt: prompt)
    assert keeps(prompt) is prompt
