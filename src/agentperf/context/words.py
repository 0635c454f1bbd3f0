"""Terms of a text, as ranking compares them: lower case, without endings and function words."""

from __future__ import annotations

import re
from collections.abc import Callable

_WORD = re.compile(r"[^\W_]+")
_PART = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[0-9]+")
_WIDE = re.compile(
    r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"
)
"""Scripts that write words without a space between them."""

_VOWEL = re.compile(r"[aeiouy]")
_FUNCTION_WORDS = frozenset(
    _WORD.findall(
        """
    a about above after again against all also am an and any are as at be because been before being
    below between both but by can could d did do does doing don down during each few for from
    further get got had has have having he her here him his how i if in into is it its just ll me
    more most my no nor not now of off ok on once only or other our out over own re really s same
    she should so some such t than that the their them then there these they this those through to
    too under until up ve very was we were what when where which while who whom why will with would
    yes you your
    """
    )
)


def reader() -> Callable[[str], list[str]]:
    """Make a function that lists the terms of a text; it remembers the words it has seen."""
    known: dict[str, tuple[str, ...]] = {}

    def terms(text: str) -> list[str]:
        found: list[str] = []
        for word in _WORD.findall(text):
            if (these := known.get(word)) is None:
                these = known[word] = _terms_of(word)
            found += these
        return found

    return terms


def _terms_of(word: str) -> tuple[str, ...]:
    """List the terms of one word: a compound such as `maxTokens` counts whole and in parts."""
    lower = word.casefold()
    if lower in _FUNCTION_WORDS:
        return ()
    if _WIDE.search(lower):
        pairs = [lower[at : at + 2] for at in range(len(lower) - 1)]
        return tuple(pairs or [lower])
    if not word.isascii():
        return (lower,)
    parts = _PART.findall(word)
    if len(parts) < 2:
        return (stem(lower),)
    return (lower, *(stem(part.lower()) for part in parts if len(part) > 1))


def stem(word: str) -> str:
    """Take the commonest English endings off: `painted`, `painting` and `paints` meet.

    Steps 1a to 1c of Porter's algorithm (M. F. Porter, An algorithm for suffix stripping, 1980)
    with the final `e` dropped; what further steps add is not worth their lines.
    """
    if len(word) < 4 or not word.isalpha():
        return word
    word = _without_plural(word)
    for ending in ("ing", "ed"):
        if word.endswith(ending):
            rest = word[: -len(ending)]
            if len(rest) > 2 and _VOWEL.search(rest):
                word = _undoubled(rest)
            break
    if word.endswith("ly") and len(word) > 5:
        word = word[:-2]
    if word.endswith("y") and len(word) > 3:
        return word[:-1] + "i"
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def _without_plural(word: str) -> str:
    if word.endswith("sses"):
        return word[:-2]
    if word.endswith("ies"):
        return word[:-3] + "y" if len(word) > 4 else word[:-1]
    if word.endswith("s") and word[-2] not in "isu":
        return word[:-1]
    return word


def _undoubled(word: str) -> str:
    """Turn `runn` into `run`, and leave `fall`, `miss` and `buzz` alone."""
    return word[:-1] if word[-1] == word[-2] and word[-1] not in "lsz" else word
