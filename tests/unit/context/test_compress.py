"""What `compress` promises, one thing at a time."""

from __future__ import annotations

import json
import random
import re
import time
from types import SimpleNamespace

import pytest

from agentperf.context import compress
from agentperf.errors import ConfigurationError, ContextWindowExceeded
from agentperf.tokens import TokenCount, count_tokens

WORDS = [
    "harbour",
    "lantern",
    "river",
    "garden",
    "window",
    "market",
    "letter",
    "winter",
    "bridge",
    "castle",
    "meadow",
    "engine",
]


def count(text):
    """Count words, as a counter that estimates nothing."""
    return len(text.split())


def prose(paragraphs, seed=1):
    """Make paragraphs in which nothing repeats."""
    chance = random.Random(seed)
    return "\n\n".join(
        f"Note {n}: " + " ".join(chance.choices(WORDS, k=18)) + ". " + "So it was."
        for n in range(paragraphs)
    )


def chat(turns, seed=2):
    """Make a conversation of user and assistant."""
    notes = prose(turns, seed).split("\n\n")
    return [
        {"role": "user" if n % 2 == 0 else "assistant", "content": note, "id": f"m{n}"}
        for n, note in enumerate(notes)
    ]


FACT = "The spare key to the lighthouse hangs behind the blue barometer."
FENCE = "```python\ndef keeper():\n    return 'barometer'\n```\n"
QUESTION = {"role": "user", "content": "Where does the spare key to the lighthouse hang?"}
SYSTEM = {"role": "system", "content": "Answer from what was said, in one sentence."}


@pytest.mark.parametrize("place", [0, 40, 150, 199])
@pytest.mark.parametrize("budget", [100, 400, 1500])
def test_a_fact_that_the_query_asks_for_survives(place, budget):
    """Wherever it stands in a text, and however little may stay."""
    notes = prose(200).split("\n\n")
    notes[place] = FACT
    text = "\n\n".join(notes)
    result = compress(text, max_tokens=budget, query="Where is the lighthouse key?", count=count)
    assert FACT in result.value
    assert count(result.value) <= budget


@pytest.mark.parametrize("place", [2, 21, 38])
def test_a_fact_that_the_user_asks_for_survives(place):
    """The user's last message is the query, when there is no other."""
    messages = [SYSTEM, *chat(40), QUESTION]
    messages[place] = {"role": "user", "content": f"By the way. {FACT}"}
    result = compress(messages, max_tokens=250, count=count)
    assert messages[place] in result.value
    assert result.value[0] == SYSTEM
    assert result.value[-1] == QUESTION


def test_messages_keep_order_and_fields():
    """What stays is the very message; a mark stands for each run that doesn't."""
    messages = [SYSTEM, *chat(40), QUESTION]
    result = compress(messages, max_tokens=300, count=count)
    kept = [message for message in result.value if message in messages]
    assert [messages.index(message) for message in kept] == sorted(map(messages.index, kept))
    marks = [message for message in result.value if message not in messages]
    assert marks
    assert all(m["role"] == "user" and m["content"].startswith("[... ") for m in marks)
    assert sum(cut.count for cut in result.report.cuts) == len(messages) - len(kept)


def test_the_content_is_never_changed():
    """Neither the list nor a message in it."""
    messages = [SYSTEM, *chat(30), QUESTION]
    before = json.dumps(messages)
    compress(messages, max_tokens=150, count=count)
    assert json.dumps(messages) == before


@pytest.mark.parametrize("content", [prose(3), [SYSTEM, QUESTION], (SYSTEM, QUESTION), "", [], ()])
@pytest.mark.parametrize("options", [{}, {"max_tokens": 10_000}, {"ratio": 1.0}])
def test_what_fits_comes_back_as_it_is(content, options):
    """The very object, when nothing has to go."""
    result = compress(content, count=count, **options)
    assert result.value is content
    assert result.report.stages == ()
    assert result.report.fits
    assert result.report.ratio == 1.0


def test_the_type_is_kept():
    """A tuple of messages gives a tuple, a list a list, a text a text."""
    messages = chat(30)
    assert type(compress(messages, max_tokens=100, count=count).value) is list
    assert type(compress(tuple(messages), max_tokens=100, count=count).value) is tuple
    assert type(compress(prose(30), max_tokens=100, count=count).value) is str


def test_calls_of_tools_stay_or_go_with_their_results():
    """At no budget there is a result without its call, or a call without its result."""
    messages = [SYSTEM]
    for n in range(12):
        call = {"id": f"c{n}", "type": "function", "function": {"name": "look", "arguments": "{}"}}
        messages += [
            {"role": "user", "content": f"Look at number {n} please."},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"c{n}", "content": prose(3, n)},
        ]
    messages.append({"role": "user", "content": "What was there to see at number 7?"})
    for budget in range(60, 900, 60):
        value = compress(messages, max_tokens=budget, count=count).value
        called = [call["id"] for m in value for call in m.get("tool_calls", ())]
        assert called == [m["tool_call_id"] for m in value if m["role"] == "tool"]
        assert budget < 120 or "c7" in called


def test_a_call_that_waits_for_its_result_stays():
    """The interface would refuse its result otherwise."""
    call = {"id": "now", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    asking = {"role": "assistant", "content": None, "tool_calls": [call]}
    value = compress([*chat(30), asking], max_tokens=100, count=count).value
    assert value[-1] == asking


def test_a_long_result_is_shortened_inside():
    """What came last stays in part: what the user asked for, with marks for the rest."""
    call = {"id": "c", "type": "function", "function": {"name": "read", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": "Which note tells of the lighthouse?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {
            "role": "tool",
            "tool_call_id": "c",
            "content": f"{prose(90)}\n\n{FACT}\n\n{prose(90, 3)}",
        },
    ]
    result = compress(messages, max_tokens=200, count=count)
    assert result.value[:2] == messages[:2]
    assert FACT in result.value[2]["content"]
    assert "left out ...]" in result.value[2]["content"]
    assert {**result.value[2], "content": ""} == {**messages[2], "content": ""}


def test_fences_survive_whole():
    """Whatever goes around them."""
    text = f"{prose(40)}\n\n{FENCE}\n{prose(40, 3)}"
    for budget in (40, 100, 500):
        assert FENCE in compress(text, max_tokens=budget, count=count, query="castle").value


def test_messages_with_code_go_last():
    """Before them go those without."""
    messages = chat(40)
    messages[10] = {"role": "assistant", "content": f"Take this:\n{FENCE}"}
    assert messages[10] in compress(messages, max_tokens=150, count=count).value


def test_headings_stay_with_what_is_below():
    """A paragraph keeps the heading that says what it is about."""
    sections = [f"## Section {n}\n\n{prose(6, n)}\n\n" for n in range(20)]
    sections[13] = f"## The lighthouse\n\n{prose(3, 77)}\n\n{FACT}\n\n{prose(3, 78)}\n\n"
    value = compress("".join(sections), max_tokens=150, query="spare key", count=count).value
    assert FACT in value
    assert value.index("## The lighthouse") < value.index(FACT)


@pytest.mark.parametrize(
    "keep",
    [
        FACT,
        "blue barometer",
        re.compile(r"key .* behind"),
        re.compile(r"Note 76: [\s\S]*barometer"),
        lambda unit: "barometer" in unit,
        ["nothing like it", re.compile("barometer")],
    ],
)
def test_what_the_caller_wants_kept_stays(keep):
    """Texts, patterns, also over several units, and predicates."""
    notes = prose(200).split("\n\n")
    notes[77] = FACT
    text = "\n\n".join(notes)
    assert FACT in compress(text, max_tokens=150, keep=keep, query="bridge", count=count).value
    messages = [{"role": "user", "content": note} for note in notes]
    kept = compress(messages, max_tokens=250, keep=FACT, count=count).value
    assert messages[77] in kept


def test_json_that_must_stay_keeps_its_white_space():
    """A pattern that is found in a document is found in the result."""
    text = json.dumps([{"id": n, "name": f"row {n}"} for n in range(50)], indent=2)
    keep = '"id": 7,'
    assert keep in compress(text, keep=keep, count=len).value


def test_too_much_that_must_stay_is_an_error():
    """It says how much there is, how much must stay and how much was allowed."""
    with pytest.raises(ContextWindowExceeded, match=r"has 8\d\d tokens.*has \d\d.*max_tokens=20"):
        compress([SYSTEM, *chat(30), QUESTION], max_tokens=20, count=count)


def test_what_can_be_had_is_given_when_asked_for():
    """With `on_fail="keep"` the result has as little as possible, and says that it is too much."""
    result = compress([SYSTEM, *chat(30), QUESTION], max_tokens=20, count=count, on_fail="keep")
    assert not result.report.fits
    assert [m for m in result.value if not m["content"].startswith("[... ")] == [SYSTEM, QUESTION]
    assert "over the target of 20" in str(result.report)


def test_a_ratio_is_an_aim():
    """About that share is kept; what can't be reached is no error."""
    text = prose(200)
    result = compress(text, ratio=0.3, count=count, query="castle")
    assert 0.27 < result.report.ratio <= 0.3
    assert result.report.context_compression_ratio == 1 - result.report.ratio
    assert not compress([SYSTEM, QUESTION], ratio=0.1, count=count).report.fits


def test_what_was_left_out_before_counts():
    """A share is one of the whole: compressing again takes nothing more."""
    once = compress(prose(200), ratio=0.3, count=count, query="castle").value
    assert compress(once, ratio=0.3, count=count, query="castle").value is once
    assert compress(once, ratio=0.1, count=count, query="castle").value != once


def test_the_smaller_of_two_targets_holds():
    """Limit and aim together."""
    text = prose(100)
    both = compress(text, ratio=0.5, max_tokens=100, count=count)
    assert both.report.target == 100
    assert compress(text, ratio=0.1, max_tokens=1500, count=count).report.target < 300


def test_without_a_target_nothing_is_lost():
    """Prose stays, JSON is compacted, and a repeated block is referred to."""
    assert compress(prose(50), count=count).value == prose(50)
    rows = json.dumps([{"id": n} for n in range(20)], indent=2)
    assert json.loads(compress(rows, count=len).value) == json.loads(rows)


def test_without_a_query_both_ends_of_a_text_stay():
    """And lines that tell of trouble."""
    notes = prose(100).split("\n\n")
    notes[50] = "The valve failed at noon."
    value = compress("\n\n".join(notes), max_tokens=200, count=count).value
    assert value.startswith(notes[0])
    assert value.endswith(notes[-1])
    assert notes[50] in value


def test_marks_say_what_was_left_out():
    """Marks and what stays add up to what was there."""
    text = prose(100)
    result = compress(text, max_tokens=300, count=count, query="castle")
    left = sum(cut.tokens for cut in result.report.cuts)
    marks = sum(count(mark) for mark in re.findall(r"\[\.\.\. .*? \.\.\.\]", result.value))
    assert left + count(result.value) - marks == count(text)


def test_marks_of_an_earlier_compression_are_added_up():
    """Compressing further says how much is gone of what was there in the beginning."""
    for content in ([SYSTEM, *chat(60), QUESTION], prose(100)):
        once = compress(content, max_tokens=900, count=count, query="castle bridge")
        twice = compress(once.value, max_tokens=300, count=count, query="lantern river")
        gone = sum(cut.tokens for cut in twice.report.cuts)
        marks = 8 * len(twice.report.cuts)
        frames = 4 * sum(cut.noun == "message" for cut in twice.report.cuts)
        told = once.report.tokens_before - twice.report.tokens_after + marks + frames
        assert gone == told


def test_the_report_says_what_each_stage_did():
    """Stages that ran, in order, each beginning where the one before ended."""
    text = json.dumps([{"id": n, "note": note} for n, note in enumerate(prose(60).split("\n\n"))])
    result = compress(json.dumps(json.loads(text), indent=4), max_tokens=2000, count=len)
    first, second = result.report.stages
    assert (first.name, second.name) == ("json", "selection")
    assert first.tokens_before == result.report.tokens_before
    assert first.tokens_after == second.tokens_before
    assert second.tokens_after == result.report.tokens_after == len(result.value)
    assert first.tokens_removed > 0
    assert result.report.seconds > 0


def test_a_long_line_loses_its_middle_at_last():
    """Where there is no unit to choose, the beginning and the end stay."""
    text = "".join(random.Random(3).choices("abcdef", k=20_000))
    result = compress(text, max_tokens=500, count=len)
    head, mark, tail = re.split(r"(\[.*\])", result.value)
    assert text.startswith(head)
    assert text.endswith(tail)
    assert "characters" in mark
    assert 400 < len(result.value) <= 500


def test_estimates_are_called_so():
    """Whether the counts are exact is the counter's to say."""

    def guess(text):
        return TokenCount(len(text) // 4, source="guess", error=0.2)

    assert not compress(prose(20), max_tokens=200, count=guess).report.exact
    assert compress(prose(20), max_tokens=200, count=count).report.exact
    assert "about" in str(compress(prose(20), max_tokens=200, count=guess).report)


def test_tokens_are_those_of_the_model_by_default():
    """`count_tokens` counts, and agrees that the result fits; for messages as well."""
    text = prose(60)
    result = compress(text, max_tokens=300, model="gpt-4o", query="castle")
    assert count_tokens(result.value, model="gpt-4o") == result.report.tokens_after <= 300
    call = {"id": "c", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
    messages = [
        SYSTEM,
        *chat(30),
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": prose(20)},
        {"role": "user", "name": "Ada", "content": "castle?"},
    ]
    shorter = compress(messages, max_tokens=400, model="gpt-4o")
    assert count_tokens(messages, model="gpt-4o") <= shorter.report.tokens_before
    assert count_tokens(shorter.value, model="gpt-4o") <= shorter.report.tokens_after <= 400


def test_objects_of_a_client_library_stay_or_go_whole():
    """They are read, but never written to."""
    messages = [SimpleNamespace(**m) for m in [*chat(40), QUESTION]]
    messages[20] = SimpleNamespace(role="assistant", content=FACT)
    value = compress(messages, max_tokens=200, count=count).value
    assert messages[20] in value
    assert value[-1] is messages[-1]


def test_blocks_of_content_are_shortened_too():
    """Texts in blocks and in results of tools; pictures stay with their message."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    messages = [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "u", "name": "f", "input": {}}],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "u", "content": prose(80)}],
        },
        {"role": "user", "content": [picture, {"type": "text", "text": "The castle?"}]},
    ]
    value = compress(messages, max_tokens=1000, count=count).value
    assert value[0] == messages[0]
    assert value[2] == messages[2]
    assert len(value[1]["content"][0]["content"]) < len(prose(80))


def test_the_result_is_the_same_every_time():
    """No chance, no clock, no hash order."""
    messages = [SYSTEM, *chat(40), QUESTION]
    first = compress(messages, max_tokens=200, count=count)
    second = compress(messages, max_tokens=200, count=count)
    assert first == second


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"max_tokens": 0}, r"max_tokens=0.*max_tokens=8000"),
        ({"max_tokens": 10.5}, r"max_tokens=10.5"),
        ({"max_tokens": True}, r"max_tokens=True"),
        ({"ratio": 0}, r"ratio=0.*ratio=0\.5"),
        ({"ratio": 1.5}, r"ratio=1.5"),
        ({"ratio": "half"}, r"ratio='half'"),
        ({"query": 7}, r"query=7"),
        ({"keep": 7}, r"keep=7.*keep="),
        ({"keep": [""]}, r"keep="),
        ({"on_fail": "raise"}, r'on_fail=.*"error", "keep"'),
        ({"strip_comments": "yes"}, r"strip_comments='yes'"),
        ({"count": 7}, r"count=7"),
    ],
)
def test_bad_options_are_named(options, named):
    """With a good example."""
    with pytest.raises(ConfigurationError, match=named):
        compress("text", **options)


@pytest.mark.parametrize("content", [7, None, ["a text"], {"role": "user"}, [{}], b"bytes"])
def test_bad_content_is_named(content):
    """Only texts and messages can be compressed."""
    with pytest.raises(ConfigurationError, match=r"content is .*a list of messages") as caught:
        compress(content, count=count)
    assert "a text'" not in str(caught.value)


def test_messages_of_a_framework_are_refused():
    """An object without a role is no message; guessing would cut what the user asked."""
    message = SimpleNamespace(type="human", content="What is new?")
    with pytest.raises(ConfigurationError, match="a list of SimpleNamespace"):
        compress([message], count=count)


PATHOLOGICAL = {
    "one long line": "ab" * 500_000,
    "words without an end": "word " * 200_000,
    "tiny lines": "".join(f"{n % 7}\n" for n in range(100_000)),
    "blank lines": "\n" * 300_000,
    "blanks": " " * 1_000_000,
    "stops": "." * 300_000,
    "deep JSON": "[" * 100_000 + "]" * 100_000,
    "long JSON": json.dumps(list(range(100_000))),
    "fences that are never closed": "".join("`" * (3 + n) + "x\n" for n in range(600)),
    "fences of all kinds": "```a\n~~~b\n" * 30_000,
    "beginnings of JSON": '["a\n{"b\n[1,\n' * 20_000,
    "accents": "a" + "\u0301" * 300_000,
    "marks": "[... 1 line (3 tokens) left out ...]\n" * 10_000,
    "beginnings of marks": "[... 1 line (3 tokens) " * 20_000,
    "one block again and again": "a line of text\nand another one\nand a third\n" * 20_000,
}


@pytest.mark.parametrize("name", PATHOLOGICAL)
def test_time_is_bounded(name):
    """A prompt that is made of one thing only takes no more time than its length is worth."""
    began = time.process_time()
    result = compress(
        PATHOLOGICAL[name], max_tokens=5_000, query="line 7", count=lambda text: len(text) // 4 + 1
    )
    assert time.process_time() - began < 60  # what is not linear takes hours
    assert result.report.fits
