"""Counting one text: with a vocabulary when it is loaded, by estimate until then."""

from __future__ import annotations

import functools
import os
import threading
import weakref
from collections.abc import Callable
from hashlib import blake2b

from agentperf._base import log
from agentperf.tokens.count import Tally, TokenCount
from agentperf.tokens.estimator import estimate
from agentperf.tokens.splitting import PART, parts
from agentperf.tokens.vocabularies import KNOWN, Vocabulary, find, ranks

Measure = Callable[[str], TokenCount]

_SHORT = 4_096
_LONGEST_PIECE = 65_536
"""Characters without a safe place to cut that are encoded at once; more are cut anywhere."""

_BLIND_CUT = 0.01
"""What such cuts may change, relative: a few of the many tokens between two of them."""


class Engine:
    """Counts texts in one way, in parts of bounded size, and remembers the counts.

    Args:
        measure: Counts one part.
        entries: How many short texts are remembered, and a quarter as many long parts.
    """

    def __init__(self, measure: Measure, entries: int) -> None:
        self._measure = measure
        self._short = functools.lru_cache(entries)(measure)
        self._long = functools.lru_cache(entries // 4)(self._measure_long)

    def count(self, text: str) -> TokenCount:
        """Count the tokens of `text`."""
        if len(text) <= PART:
            return self._part(text)
        tally = Tally()
        for part in parts(text):
            tally.add(self._part(part))
        return tally.total()

    def within(self, text: str, limit: int) -> int | None:
        """Count the tokens of `text`, or give None as soon as there are more than `limit`."""
        tokens = 0
        for part in parts(text):
            tokens += int(self._part(part))
            if tokens > limit:
                return None
        return tokens

    def _part(self, text: str) -> TokenCount:
        return self._short(text) if len(text) < _SHORT else self._long(_Long(text))

    def _measure_long(self, key: _Long) -> TokenCount:
        text, key.text = key.text, ""  # The key is remembered; the text must not be.
        return self._measure(text)


class _Long:
    """A long text as the key of its count: equal by a digest, so that no text is kept alive."""

    __slots__ = ("digest", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Long) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def estimating(name: str, entries: int = 2_048) -> Engine:
    """Make the engine that needs no vocabulary."""
    return Engine(functools.partial(_estimated, name), entries)


def _estimated(name: str, text: str) -> TokenCount:
    tokens, error = estimate(text, name)
    return TokenCount(tokens, source=f"estimate:{name}", error=error)


def encoding(name: str, encode: Callable[[str], list[int]], entries: int = 16_384) -> Engine:
    """Make the engine that encodes; what can't be encoded is estimated."""
    source = f"tiktoken:{name}"

    def measure(text: str) -> TokenCount:
        try:
            if len(text) <= _LONGEST_PIECE:
                return TokenCount(len(encode(text)), source=source)
            cuts = range(0, len(text), _LONGEST_PIECE)
            tokens = sum(len(encode(text[cut : cut + _LONGEST_PIECE])) for cut in cuts)
            return TokenCount(tokens, source=source, error=_BLIND_CUT)
        except Exception as error:  # noqa: BLE001 - a count must not fail
            log.fault("tokens.not_encoded", error, characters=len(text))
            return _estimated(name, text)

    return Engine(measure, entries)


def load(vocabulary: Vocabulary) -> Engine | None:
    """Find and load a vocabulary: half a second of work, 50 to 90 MB; None when there is none.

    tiktoken is given the ranks themselves and no special tokens: it then reaches for no network
    and no cache of its own, takes no global lock, and sees text such as `<|endoftext|>` as text.
    """
    found = find(vocabulary)
    if found is None:
        return None
    try:
        import tiktoken

        loaded = tiktoken.Encoding(
            vocabulary.name,
            pat_str=vocabulary.pattern,
            mergeable_ranks=ranks(found.data),
            special_tokens={},
        )
    except Exception as error:  # noqa: BLE001 - missing, broken or too old: there is the estimate
        log.fault("vocabulary.not_loaded", error, path=str(found.path))
        return None
    # Not `encode_ordinary`: that one panics past `Exception` on a million blanks.
    return encoding(vocabulary.name, functools.partial(loaded.encode, disallowed_special=()))


class Loader:
    """Loads one vocabulary at most once, whoever asks, in whatever thread.

    Args:
        work: Loads it; gives None when it is not at hand.
    """

    def __init__(self, work: Callable[[], Engine | None]) -> None:
        self._work = work
        self._engine: Engine | None = None
        self.renew()
        _loaders.add(self)

    def renew(self) -> None:
        """Forget a search that found nothing, and what a thread of another process had begun."""
        self._lock = threading.RLock()
        self._done = self._engine is not None
        self._begun = self._working = False

    def now(self) -> Engine | None:
        """Return the engine, loading it first where that has not been tried yet."""
        if not self._done:
            with self._lock:
                # Working already: the search wrote to the log, and whoever reads that counts.
                if not (self._done or self._working):
                    self._working = True
                    self._engine = self._work()
                    self._done = True
        return self._engine

    def at_hand(self) -> Engine | None:
        """Return the engine if it is loaded; else have a thread load it and return None."""
        if not (self._done or self._begun):
            self._begun = True
            thread = threading.Thread(target=self.now, name="agentperf-vocabulary", daemon=True)
            try:
                thread.start()
            except RuntimeError:  # No more threads, or the interpreter is ending.
                self._begun = False
        return self._engine


_loaders: weakref.WeakSet[Loader] = weakref.WeakSet()


def look_again() -> None:
    """Let vocabularies that were not found be looked for once more."""
    for loader in list(_loaders):
        loader.renew()


if hasattr(os, "register_at_fork"):  # A thread that was loading is not in the child.
    os.register_at_fork(after_in_child=look_again)


@functools.cache
def loader(name: str) -> Loader:
    """Return the process's loader of a vocabulary: it is too large to be loaded twice."""
    return Loader(functools.partial(load, KNOWN[name]))


@functools.cache
def estimator(name: str) -> Engine:
    """Return the process's estimating engine for a vocabulary."""
    return estimating(name)
