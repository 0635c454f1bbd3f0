"""Blocks that stand further up already."""

from __future__ import annotations

import re

from agentperf.context import compress

BLOCK = "".join(f"def step_{n}(state):\n    return state.advance({n})\n" for n in range(6))
PARAGRAPH = (
    "It was told many times, in many places, and by many people, and hardly ever in vain. " * 2
)


def once(text, **options):
    """Compress a text."""
    return compress(text, count=len, **options).value


def test_a_block_that_comes_again_is_referred_to():
    """The first one stays; a mark quotes how it begins."""
    result = once(f"first\n{BLOCK}middle\n{BLOCK}last\n")
    assert result.count(BLOCK) == 1
    assert result.startswith(f"first\n{BLOCK}middle\n[... 12 lines (")
    assert 'tokens) as above from "def step_0(state):" on left out ...]\nlast\n' in result


def test_a_long_line_that_comes_again_is_referred_to():
    """One line is enough, if it is a long one."""
    result = once(f"{PARAGRAPH}\n\nSomething else.\n\n{PARAGRAPH}\n")
    assert result.count(PARAGRAPH.strip()) == 1


def test_short_blocks_stay():
    """A mark must be worth its tokens."""
    text = "a\nb\nc\nother\na\nb\nc\n"
    assert once(text) == text


def test_a_block_that_comes_many_times_running_has_one_mark():
    """A period is counted, not marked again and again."""
    result = once(BLOCK * 50)
    assert result.startswith(BLOCK)
    assert result.count("left out") == 1


def test_a_result_that_a_tool_gave_before_is_referred_to():
    """Across messages too; what the user says last is only referred to, never shortened."""
    messages = [
        {"role": "assistant", "content": BLOCK},
        {"role": "assistant", "content": BLOCK},
        {"role": "user", "content": BLOCK},
    ]
    value = compress(messages, count=len).value
    assert value[0] == messages[0]
    assert value[1]["content"].startswith("[... 12 lines")
    assert value[2] == messages[2]


def test_what_must_stay_is_not_replaced():
    """`keep=` holds for the second one too."""
    text = f"{BLOCK}middle\n{BLOCK}"
    assert once(text, keep="state.advance(3)").count("state.advance(3)") == 2


def test_a_reference_goes_with_what_it_refers_to():
    """When the first block is left out, nothing says any longer that it is above."""
    filler = "".join(f"Paragraph {n} about the harbour and its ships.\n\n" for n in range(60))
    text = f"{filler}{BLOCK}\n{filler}{BLOCK}\nThe end.\n"
    for budget in range(300, 3000, 300):
        value = compress(text, max_tokens=budget, count=len, query="harbour ships").value
        for quoted in re.finditer(r'as above from "([^"]*)" on', value):
            assert quoted[1] in value[: quoted.start()]
