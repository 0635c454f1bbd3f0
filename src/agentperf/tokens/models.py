"""Which model reads text with which vocabulary, as data."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Profile:
    """How to count for a model.

    Attributes:
        vocabulary: The vocabulary to count with.
        percent: Tokens of the model for a hundred of that vocabulary.
        error: How far off that may be for English, code and JSON, relative; 0.0 when the vocabulary
            is the model's own, None when its own is not known at all.
        images: Tokens of an image in low and in high detail.
    """

    vocabulary: str
    percent: int = 100
    error: float | None = 0.0
    images: tuple[int, int] = field(default=(85, 765))

    @property
    def is_exact(self) -> bool:
        """Whether the vocabulary is the model's own."""
        return self.error == 0.0


_O200K = Profile("o200k_base")
_CL100K = Profile("cl100k_base")
UNKNOWN = Profile("o200k_base", error=None)


def _like(percent: int, error: float) -> Profile:
    return Profile("o200k_base", percent, error)


# As tiktoken's own table has it; a hyphen and anything may follow, a dot only where one is written.
_EXACT = MappingProxyType(
    {
        "o200k_base": _O200K,
        "o200k_harmony": _O200K,  # The same for all text; it has more special tokens.
        "cl100k_base": _CL100K,
        "gpt-5": _O200K,
        "gpt-5.": _O200K,
        "gpt-4.5": _O200K,
        "gpt-4.1": _O200K,
        "gpt-4o": _O200K,
        "gpt-4o-mini": Profile("o200k_base", images=(2_833, 25_501)),
        "chatgpt-4o": _O200K,
        "o1": _O200K,
        "o3": _O200K,
        "o4-mini": _O200K,
        "gpt-oss": _O200K,
        "gpt-4": _CL100K,
        "gpt-3.5": _CL100K,
        "gpt-35": _CL100K,  # as deployments in Azure are named
        "text-embedding-3": _CL100K,
        "text-embedding-ada-002": _CL100K,
        "davinci-002": _CL100K,
        "babbage-002": _CL100K,
    }
)

# Measured against the models' published vocabularies on English, Markdown, code, JSON, logs and
# HTML. Claude and Gemini publish none: Claude's are what users measured, Gemini's is Gemma's.
_FAMILIES = MappingProxyType(
    {
        "claude": _like(118, 0.25),
        "claude-opus-4-7": _like(153, 0.3),
        "claude-opus-4-8": _like(153, 0.3),
        "claude-opus-5": _like(153, 0.3),
        "claude-sonnet-5": _like(153, 0.3),
        "claude-haiku-5": _like(153, 0.3),
        "claude-fable": _like(153, 0.3),
        "claude-mythos": _like(153, 0.3),
        "gemini": _like(120, 0.25),
        "gemma": _like(120, 0.2),
        "llama": _like(100, 0.1),
        "mistral": _like(111, 0.2),
        "mixtral": _like(111, 0.2),
        "ministral": _like(111, 0.2),
        "codestral": _like(111, 0.2),
        "qwen": _like(108, 0.25),
        "qwq": _like(108, 0.25),
        "deepseek": _like(104, 0.1),
        "kimi": _like(100, 0.1),
        "moonshot": _like(100, 0.1),
        "glm": _like(101, 0.1),
    }
)


@functools.lru_cache(maxsize=512)
def profile(model: str | None) -> Profile:
    """Return how to count for `model`; the longest name that fits wins.

    Providers and vendors in front of the name don't matter (`"azure/gpt-4o"`,
    `"us.anthropic.claude-..."`), nor do a date or variant behind it.
    """
    for name in _spellings(model or ""):
        own = [known for known in _EXACT if _is_variant(name, known)]
        if own:
            return _EXACT[max(own, key=len)]
        like = [family for family in _FAMILIES if name.startswith(family)]
        if like:
            return _FAMILIES[max(like, key=len)]
    return UNKNOWN


def _spellings(model: str) -> Iterator[str]:
    name = model.strip().lower().rpartition("/")[2].removeprefix("ft:")
    while name:
        yield name
        name = name.partition(".")[2]


def _is_variant(name: str, known: str) -> bool:
    rest = name.removeprefix(known)
    return name.startswith(known) and (known[-1] == "." or rest[:1] in ("", "-", ":", "@"))
