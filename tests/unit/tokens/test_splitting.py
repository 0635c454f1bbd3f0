"""Cutting long text changes no token."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from agentperf.tokens.splitting import parts

PUNCTUATION_OF_THE_EAST = "\u3001\u3002\uff01\uff0c"
SOUP = st.lists(
    st.sampled_from(
        [
            *("abcXYZ019 \n\t'\"-_.,/\\<>{}()[]éжя中文字あカ한국" + PUNCTUATION_OF_THE_EAST),
            *"\u0301\u200d\u00a0\u2028\x85½٣",
            *("the", "don't", "I'LL", "HTTPServer", "\n\n", "    ", "\r\n", " \n", "123456", "//"),
            *("foo_bar", "'s", "'S", "…", "😀", "<|endoftext|>", "¿Qué", "नमस्ते", "สวัสดี"),
        ]
    ),
    max_size=60,
).map("".join)


@given(SOUP | st.text(max_size=80), st.integers(1, 20))
def test_nothing_is_lost(text, size):
    """The parts are the text."""
    assert "".join(parts(text, size)) == text


@given(SOUP | st.text(max_size=80), st.integers(1, 20))
@example("'s a", 1)
@example("x \ny", 1)
@example("a,  b", 1)
@example("1234 5678", 1)
@example("你好。\n\n世界", 1)
def test_the_tokens_stay_the_same(loaded, text, size):
    """The parts have together as many tokens as the whole, in every vocabulary."""
    for engine in loaded.values():
        whole = engine.count(text)
        assert sum(engine.count(part) for part in parts(text, size)) == whole


def test_parts_are_as_long_as_wanted():
    """Ordinary text is cut soon after the size that is wanted."""
    text = "some words and " * 1000
    assert all(100 <= len(part) < 110 for part in list(parts(text, 100))[:-1])


def test_text_without_a_safe_place_stays_whole():
    """No cut is better than a wrong one."""
    assert list(parts("x" * 1000, 10)) == ["x" * 1000]
    assert list(parts("", 10)) == [""]
