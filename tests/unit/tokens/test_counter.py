"""Texts, messages and requests are counted for a model."""

from __future__ import annotations

import enum
import threading
import time
from collections import UserDict
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.errors import ConfigurationError
from agentperf.tokens import Counter, TokenCount, count_tokens, counter, exceeds
from agentperf.tokens.counter import QUICK
from agentperf.tokens.engines import Engine, Loader, estimating
from agentperf.tokens.models import UNKNOWN, Profile, profile

USER = {"role": "user", "content": "hello"}
ROLES = st.sampled_from(["system", "user", "assistant", "tool"])
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": ROLES, "content": st.text(max_size=20)},
        optional={"name": st.text(max_size=8)},
    ),
    max_size=6,
)


def by_length(profile: Profile = UNKNOWN, *, loaded: bool = True) -> Counter:
    """A counter whose vocabulary has a token per character, and whose estimate is always 7."""
    exact = Engine(lambda text: TokenCount(len(text), source="exact"), entries=64)
    seven = Engine(lambda text: TokenCount(7, source="seven", error=0.5), entries=64)
    return Counter(profile, Loader(lambda: exact if loaded else None), seven)


def test_a_text():
    """A text is counted exactly for a model whose vocabulary is public."""
    count = count_tokens("hello world", model="gpt-4o")
    assert (count, count.exact, count.source) == (2, True, "tiktoken:o200k_base")


def test_no_model():
    """Without a model, o200k_base is counted with, and nothing is claimed of the error."""
    count = count_tokens("hello world")
    assert (count, count.exact, count.error) == (2, False, None)


def test_another_vocabulary():
    """For a model with another vocabulary the count is converted and marked."""
    count = count_tokens("hello world " * 50, model="claude-sonnet-4-5")
    plain = count_tokens("hello world " * 50, model="gpt-4o")
    assert count == -(-plain * 118 // 100)
    assert (count.error, count.source) == (0.25, "tiktoken:o200k_base*1.18")


# Sizes that OpenAI's API reported for requests of this form.
@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        ({"messages": [USER]}, 8),
        ({"messages": [{"role": "user", "content": "hello world"}]}, 9),
        ({"messages": [{"role": "system", "content": "hello:"}]}, 9),
        ({"messages": [USER], "tools": [{"function": {"name": "foo"}}]}, 31),
        ({"messages": [USER], "functions": [{"name": "foo"}]}, 31),
        ({"messages": [USER], "functions": [{"name": "foo"}], "function_call": "none"}, 32),
        (
            {
                "messages": [USER],
                "tools": [{"type": "function", "function": {"name": "foo"}}],
                "tool_choice": {"type": "function", "function": {"name": "foo"}},
            },
            36,
        ),
        (
            {
                "messages": [
                    {"role": "system", "content": "Hello"},
                    {"role": "user", "content": "Hi there"},
                ],
                "functions": [{"name": "do_stuff"}],
            },
            35,
        ),
        (
            {
                "messages": [
                    {"role": "user", "content": "hello world"},
                    {"role": "function", "name": "do_stuff", "content": "{}"},
                ]
            },
            15,
        ),
        (
            {
                "messages": [
                    {
                        "role": "assistant",
                        "content": "",
                        "function_call": {
                            "name": "do_stuff",
                            "arguments": '{"foo": "bar", "baz": 1.5}',
                        },
                    }
                ]
            },
            26,
        ),
    ],
)
def test_requests_have_the_size_the_provider_reported(request_, tokens):
    """What the chat format adds is counted as the provider counts it, but called an estimate."""
    count = count_tokens({"model": "gpt-3.5-turbo", **request_})
    assert count == tokens
    assert not count.exact
    assert "chat" in count.source


def test_messages_and_a_request_of_them():
    """A request without tools is as large as its messages; its own model is used."""
    messages = [USER, {"role": "assistant", "content": "hi"}]
    assert count_tokens(messages, model="gpt-4") == count_tokens(
        {"model": "gpt-4", "messages": messages}
    )
    assert count_tokens({"model": "gpt-4", "messages": messages}, model="o3").source == (
        "tiktoken:o200k_base+chat"
    )


def test_the_format_is_most_of_a_short_message():
    """The error of a chat is what its format may be off, so it shrinks as the texts grow."""
    short, long = (count_tokens([{**USER, "content": "hello " * n}], model="o3") for n in (1, 500))
    assert short.error > 0.2
    assert long.error < 0.01


def test_parts_of_a_message():
    """Texts among the parts are counted as texts."""
    parts = [{"type": "text", "text": "hello"}, {"type": "refusal", "refusal": " world"}, "!"]
    split = count_tokens([{"role": "user", "content": parts}], model="gpt-4o")
    assert split == count_tokens([{"role": "user", "content": "hello world!"}], model="gpt-4o")


def test_images_are_guessed():
    """An image counts as one of ordinary size and makes the error unknown; its data is no text."""
    data = {"url": "data:image/png;base64," + "A" * 100_000}

    def message(**more):
        return [{"role": "user", "content": [{"type": "image_url", "image_url": {**data, **more}}]}]

    high, low = (
        count_tokens(message(), model="gpt-4o"),
        count_tokens(message(detail="low"), model="gpt-4o"),
    )
    assert (high - low, high.error) == (765 - 85, None)
    assert "media" in high.source
    assert count_tokens(message(detail="low"), model="gpt-4o-mini") > 2_833


def test_what_can_not_be_counted_makes_the_error_unknown():
    """Sound and files have tokens that nobody can know from the request."""
    message = {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAA"}}]}
    count = count_tokens([message], model="gpt-4o")
    assert (count, count.error) == (7, None)


def test_tool_calls_and_results():
    """Names and arguments of calls count, in OpenAI's shape and in Anthropic's."""
    call = {"id": "call_1", "type": "function", "function": {"name": "search", "arguments": "{}"}}
    ours = {"role": "assistant", "content": None, "tool_calls": [call]}
    theirs = {
        "role": "assistant",
        "content": [{"type": "tool_use", "id": "x", "name": "search", "input": {"q": "a"}}],
    }
    result = {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "x", "content": "found"}],
    }
    empty = count_tokens([{"role": "assistant", "content": None}], model="gpt-4o")
    assert count_tokens([ours], model="gpt-4o") == empty + 3 + 2
    assert count_tokens([theirs], model="gpt-4o") > empty + 3 + 2
    assert count_tokens([result], model="gpt-4o") == empty + 1


def test_an_answer_schema_counts():
    """The schema of a structured answer is part of the prompt, in a form nobody knows."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}}
    plain = {"model": "gpt-4o", "messages": [USER]}
    count = count_tokens({**plain, "response_format": form})
    assert count > count_tokens(plain)
    assert count.error is None
    assert count_tokens({**plain, "response_format": {"type": "json_object"}}).error is not None


def test_tools_in_anthropics_shape():
    """A schema under another name is the same schema."""
    schema = {"type": "object", "properties": {"q": {"type": "string"}}}
    ours = {"type": "function", "function": {"name": "find", "parameters": schema}}
    theirs = {"name": "find", "input_schema": schema}
    assert count_tokens({"messages": [USER], "tools": [ours]}) == count_tokens(
        {"messages": [USER], "tools": [theirs]}
    )


def test_what_an_sdk_returned():
    """Messages that an SDK returned can be sent back, so they can be counted."""
    dump = {"role": "assistant", "content": "hello"}
    message = SimpleNamespace(model_dump=lambda *, exclude_none: dump)
    assert count_tokens([message, UserDict(USER)]) == count_tokens([dump, USER])


def test_subclasses_of_str():
    """A member of a text enumeration is the text it stands for."""

    class Greeting(str, enum.Enum):  # noqa: UP042 - what users have
        HELLO = "hello"

    assert count_tokens(Greeting.HELLO) == count_tokens("hello")
    assert count_tokens([{"role": "user", "content": Greeting.HELLO}]) == count_tokens([USER])


@pytest.mark.parametrize(
    ("x", "says"),
    [
        (None, "can't be counted"),
        (b"text", "can't be counted"),
        (7, "can't be counted"),
        ({"role": "user", "content": "x"}, "no list of messages"),
        ({"messages": "hello"}, "no list of messages"),
        (["hello"], "message 0 is a str"),
        ([USER, {"content": "x"}], "message 1"),
        ([{"role": "user", "content": 5}], "content of message 0 is an int"),
        ([{"role": "user", "content": [5]}], "has an int as a part"),
        ({"messages": [USER], "tools": "search"}, "a list is needed"),
        ({"messages": [USER], "tools": [{"type": "function"}]}, r"tools'\]\[0\]"),
        ({"messages": [USER], "tools": ["x" * 500]}, r"tools'\]\[0\] is a str"),
        ([{"text": "secret"}], "a dict with the keys 'text'"),
    ],
)
def test_bad_input(x, says):
    """What can't be counted is an error that says of what kind it is, and what could be."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        count_tokens(x)
    assert "such as" in str(caught.value)
    assert not {"hello", "secret", "xxx"} & set(str(caught.value).split("'"))
    with pytest.raises(ConfigurationError):
        exceeds(x, 10)


@pytest.mark.parametrize("model", [3, [], b"gpt-4o"])
def test_a_bad_model(model):
    """A model is a name."""
    with pytest.raises(ConfigurationError, match="model="):
        count_tokens("x", model=model)


@pytest.mark.parametrize("limit", [-1, 1.5, "10", None, True])
def test_a_bad_limit(limit):
    """A limit is a number of tokens."""
    with pytest.raises(ConfigurationError, match="limit="):
        exceeds("x", limit)


@given(
    x=st.text(max_size=60) | MESSAGES | MESSAGES.map(lambda m: {"messages": m}),
    limit=st.integers(0, 120),
    model=st.sampled_from(["gpt-4o", "gpt-4", "claude-sonnet-5", None]),
)
def test_exceeds_agrees_with_the_count(x, limit, model):
    """Whatever is counted for whatever model, `exceeds` says what the count says."""
    assert exceeds(x, limit, model=model) is (count_tokens(x, model=model) > limit)


@given(
    texts=st.lists(st.text("ab ", max_size=30), max_size=4),
    limit=st.integers(0, 120),
    percent=st.integers(50, 200),
)
def test_exceeds_converts_as_the_count_does(texts, limit, percent):
    """The agreement holds for any conversion, to the last token."""
    counter = by_length(Profile("o200k_base", percent, 0.1))
    messages = [{"role": "user", "content": text} for text in texts]
    assert counter.exceeds(messages, limit) is (counter.count(messages) > limit)


def test_exceeds_reads_no_more_than_needed():
    """A long text is not read to its end when its beginning is too much already."""
    read = []

    def measure(text):
        read.append(text)
        return TokenCount(len(text))

    engine = Engine(measure, entries=64)
    counting = Counter(profile("gpt-4o"), Loader(lambda: engine), engine)
    assert counting.exceeds([USER, {"role": "user", "content": "many words " * 100_000}], 100)
    assert sum(map(len, read)) < 20_000


def test_exceeds_counts_nothing_when_bytes_tell():
    """A text that is shorter than the limit in bytes needs no counting."""

    def measure(text):
        raise AssertionError(text)

    engine = Engine(measure, entries=64)
    assert not Counter(profile("gpt-4o"), Loader(lambda: engine), engine).exceeds("x" * 100, 400)


def test_nothing_at_hand():
    """Where there is no vocabulary, everything is counted by estimate, and says so."""
    counting = by_length(loaded=False)
    assert counting.count("some text") == counting.quick("some text") == 7
    assert counting.count("some text").source == "seven"


def test_not_waiting():
    """Who doesn't wait gets an estimate first, and the true count when loading is done."""
    may_load = threading.Event()
    exact = Engine(lambda text: TokenCount(len(text), source="exact"), entries=8)

    def load():
        assert may_load.wait(10)
        return exact

    counting = Counter(profile("gpt-4o"), Loader(load), estimating("o200k_base"))
    assert counting.quick("some text").source == "estimate:o200k_base"
    assert counting.exceeds("some text", 1, wait=False)
    may_load.set()
    assert counting.count("some text").source == "exact"
    assert counting.quick("some text").source == "exact"


def test_long_texts_are_not_encoded_on_the_way():
    """On the path of a call a very long text is estimated, even when the vocabulary is there."""
    counting = by_length()
    long = "x " * QUICK
    assert counting.count(long).source == "exact"
    assert counting.quick(long).source == "seven"
    assert counting.quick([{"role": "user", "content": long}]).source == "exact+seven+chat"
    assert counting.exceeds(long, 100)
    assert not counting.exceeds(long, 100, wait=False)


def test_the_function_does_not_wait_either():
    """`count_tokens(..., wait=False)` is the count that never waits."""
    count_tokens("hello world", model="gpt-4o")
    assert count_tokens("hello world", model="gpt-4o", wait=False) == 2
    assert not exceeds("hello world", 2, model="gpt-4o", wait=False)


def test_one_counter_for_a_model():
    """A model's counter is made once."""
    assert counter("gpt-4o") is counter("gpt-4o")


def test_many_threads_count_the_same():
    """Counting from many threads gives each the true number."""
    texts = [f"text number {n} with some words" for n in range(50)]
    expected = [count_tokens(text) for text in texts]
    wrong = []

    def work():
        wrong.extend(t for t, n in zip(texts, expected, strict=True) if count_tokens(t) != n)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_remembered_counts_are_quick():
    """Counting a text again costs about a microsecond; ten are allowed for a slow machine."""
    count_tokens("hello world", model="gpt-4o")
    best = min(timed(lambda: count_tokens("hello world", model="gpt-4o")) for _ in range(20))
    assert best < 10e-6


def timed(call) -> float:
    """Mean CPU seconds of a call."""
    began = time.process_time()
    for _ in range(1_000):
        call()
    return (time.process_time() - began) / 1_000


def test_the_model_can_stand_second():
    """As it does for prices."""
    assert count_tokens("a text", "gpt-4o") == count_tokens("a text", model="gpt-4o")
    assert exceeds("a text", 1, "gpt-4o")
