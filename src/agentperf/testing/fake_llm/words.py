"""Words and tokens as the fake model sees them."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(r"\s*(?:\w+|[^\w\s]+)|\s+")
_WORD = re.compile(r"\w+(?:'\w+)?")
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")
_ENDINGS = ("ing", "ed", "es", "s", "e")

_EMPTY_WORDS = frozenset(
    _WORD.findall(
        "a about after again all also am an and any are as at be been before but by can could "
        "did do does doing for from get give good had has have hello her here hi him his how i "
        "if in into is it its just know let like made make me morning much my no not now of on "
        "one or our please remember say she he so some tell thank thanks that the their them "
        "then there these they this those time to told up us very was we were what when where "
        "which who whom whose why will with would yes you your"
    )
)
_TIMES = frozenset(
    _WORD.findall(
        "monday tuesday wednesday thursday friday saturday sunday january february march april "
        "may june july august september october november december today tomorrow yesterday "
        "tonight"
    )
)


def tokens(text: str) -> list[str]:
    """Cut text into tokens: a word or a run of punctuation with the white space before it.

    Joined again they give the text unchanged.
    """
    return _TOKEN.findall(text)


def count(text: str) -> int:
    """Return how many tokens a text has."""
    return len(tokens(text))


def sentences(text: str) -> list[str]:
    """Return the sentences of a text with their closing marks."""
    return [found.strip() for found in _SENTENCE.findall(text) if found.strip()]


def telling(text: str) -> list[str]:
    """Return the words that carry meaning, in lower case, each once, in order."""
    return list(dict.fromkeys(word.lower() for word in _telling(text)))


def stems(text: str) -> list[str]:
    """Return the telling words cut down to their stems: "lives" and "living" are one."""
    return list(dict.fromkeys(_stem(word) for word in telling(text)))


def names(text: str) -> list[str]:
    """Return the telling words written with a capital: people, places, products."""
    found = (word for word in _telling(text) if word[0].isupper() and word.lower() not in _TIMES)
    return list(dict.fromkeys(found))


def times(text: str) -> list[str]:
    """Return the words that say when, in lower case."""
    return [word for word in telling(text) if word in _TIMES]


def _telling(text: str) -> Iterator[str]:
    for word in _WORD.findall(text):
        bare = word.split("'")[0]
        if bare and bare.lower() not in _EMPTY_WORDS:
            yield bare


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word
