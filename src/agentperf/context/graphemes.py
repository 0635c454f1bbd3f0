"""Places where a text may be cut without tearing a character apart."""

from __future__ import annotations

import unicodedata

_JOINER = "\u200d"
_JAMO = (("\u1100", "\u11ff"), ("\ua960", "\ua97c"), ("\ud7b0", "\ud7fb"))


def cut_before(text: str, at: int) -> int:
    """Return the last place up to `at` where a new character begins, as a reader sees it."""
    while 0 < at < len(text) and not _begins(text, at):
        at -= 1
    return at


def cut_after(text: str, at: int) -> int:
    """Return the first place from `at` on where a new character begins, as a reader sees it."""
    while 0 < at < len(text) and not _begins(text, at):
        at += 1
    return at


def _begins(text: str, at: int) -> bool:
    """Tell whether a character begins here; in doubt it doesn't.

    A simple form of the rules of Unicode Standard Annex 29: accents, joiners and modifiers belong
    to what is before them; flags, emoji sequences, Korean syllables in parts, a carriage return
    with its newline and halves of a surrogate pair are never parted.
    """
    before, here = text[at - 1], text[at]
    if here.isascii():
        return not (before == "\r" and here == "\n") and before != _JOINER
    return not (
        _extends(here)
        or before == _JOINER
        or (_is_flag(here) and _is_flag(before))
        or (_is_jamo(here) and _is_jamo(before))
        or ("\udc00" <= here <= "\udfff" and "\ud800" <= before <= "\udbff")
    )


def _extends(sign: str) -> bool:
    return (
        sign == _JOINER
        or unicodedata.category(sign) in {"Mn", "Mc", "Me"}
        or "\U0001f3fb" <= sign <= "\U0001f3ff"
        or "\U000e0020" <= sign <= "\U000e007f"
    )


def _is_flag(sign: str) -> bool:
    return "\U0001f1e6" <= sign <= "\U0001f1ff"


def _is_jamo(sign: str) -> bool:
    return any(first <= sign <= last for first, last in _JAMO)
