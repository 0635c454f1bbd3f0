"""Counting for one model: texts, messages and whole requests."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import replace

from agentperf._base.offered import offered
from agentperf.errors import ConfigurationError
from agentperf.tokens.count import Tally, TokenCount
from agentperf.tokens.engines import Engine, Loader, estimator, loader
from agentperf.tokens.models import Profile, profile
from agentperf.tokens.plugged import estimating, plugged
from agentperf.tokens.reading import Reading

QUICK = 65_536
"""Characters of one text that are still encoded on a call's path: 6 ms at most."""


class Counter:
    """Counts for one model.

    Args:
        profile: How to count for it.
        exact: Loads the vocabulary.
        estimate: Counts until it is loaded, and where there is none.
    """

    def __init__(self, profile: Profile, exact: Loader, estimate: Engine) -> None:
        self._profile = profile
        self._exact = exact
        self._estimate = estimate

    def count(self, x: object) -> TokenCount:
        """Count `x`; the first count of a process waits until the vocabulary is loaded."""
        return self._count(x, self._exact.now() or self._estimate, None)

    def quick(self, x: object) -> TokenCount:
        """Count `x` without ever waiting: for the path of a call.

        Until the vocabulary is loaded, which the first such count begins in the background, and
        for very long texts, the answer is an estimate.
        """
        return self._count(x, self._exact.at_hand() or self._estimate, QUICK)

    def exceeds(self, x: object, limit: int, *, wait: bool = True) -> bool:
        """Tell whether `x` has more than `limit` tokens, reading no more of it than needed."""
        engine = (self._exact.now() if wait else self._exact.at_hand()) or self._estimate
        reading = Reading(x, self._profile)
        left = limit * 100 // self._profile.percent - int(reading.added)
        # No token is shorter than a byte, no character longer than four.
        if 4 * sum(map(len, reading.texts)) <= left:
            return False
        for text in reading.texts:
            chosen = self._chosen(text, engine, None if wait else QUICK)
            if left < 0 or (tokens := chosen.within(text, left)) is None:
                return True
            left -= tokens
        return left < 0

    def _count(self, x: object, engine: Engine, longest: int | None) -> TokenCount:
        if isinstance(x, str):
            found = self._text(str.__str__(x), engine, longest)
        else:
            reading = Reading(x, self._profile)
            tally = Tally()
            for text in reading.texts:
                tally.add(self._text(text, engine, longest))
            tally.add(reading.added)
            found = tally.total()
        return found if self._profile.is_exact else self._converted(found)

    def _text(self, text: str, engine: Engine, longest: int | None) -> TokenCount:
        return self._chosen(text, engine, longest).count(text)

    def _chosen(self, text: str, engine: Engine, longest: int | None) -> Engine:
        return engine if longest is None or len(text) <= longest else self._estimate

    def _converted(self, found: TokenCount) -> TokenCount:
        """Turn a count by the vocabulary into one for a model that has another."""
        percent, error = self._profile.percent, self._profile.error
        both = None if error is None or found.error is None else error + found.error
        source = found.source if percent == 100 else f"{found.source}*{percent / 100:.2f}"
        return TokenCount(-(-int(found) * percent // 100), source=source, error=both)


@functools.lru_cache(maxsize=512)
def counter(model: str | None = None) -> Counter:
    """Return the counter for a model; None counts with `o200k_base` and says it doesn't know."""
    known = profile(model)
    return Counter(known, loader(known.vocabulary), estimator(known.vocabulary))


@functools.lru_cache(maxsize=64)
def _plugin_counter(make: Callable[[], object], model: str) -> Counter:
    """Return the counter that uses the tokenizer of a plugin; the usual one where that fails."""
    usual = counter(model).quick
    known = replace(profile(model), percent=100, error=0.0)
    work = functools.partial(plugged, make, usual)
    return Counter(known, Loader(work), estimating(usual))


def count_tokens(x: object, model: str | None = None, *, wait: bool = True) -> TokenCount:
    """Count the tokens of a text, of messages, or of a whole request to a chat model.

    It never fails for want of a vocabulary and never reaches for the network: without one, the
    answer is an estimate and says so. The first exact count of a process loads the vocabulary,
    which takes about half a second; later ones take microseconds.

    Args:
        x: A text; messages (`[{"role": ..., "content": ...}, ...]`); or a request
            (`{"model": ..., "messages": ..., "tools": ...}`). Messages may also be what the SDK
            returned. Text that looks like a special token is text.
        model: The model that will read it, or a vocabulary such as `"o200k_base"`. By default the
            request's own model; without any, `o200k_base` is counted with and `error` is None.
            Where a plugin offers a tokenizer for the model, that one counts.
        wait: False never waits: while the vocabulary is being loaded, in the background, and for
            texts of more than 64 KB the answer is an estimate. For the path of a call.

    Returns:
        A number with `.exact`, `.source` and `.error`. Only texts are counted exactly, and only for
        models whose vocabulary is public; what a request adds to its texts is estimated.

    Raises:
        ConfigurationError: `x` is nothing of that kind, or `model` is no text.
    """
    chosen = _counter(x, model, wait=wait)
    return chosen.count(x) if wait else chosen.quick(x)


def exceeds(x: object, limit: int, model: str | None = None, *, wait: bool = True) -> bool:
    """Tell whether `count_tokens(x, ...) > limit`, reading no more of `x` than needed.

    Args:
        x: As for `count_tokens`.
        limit: The most tokens that are not too many.
        model: As for `count_tokens`.
        wait: As for `count_tokens`.

    Raises:
        ConfigurationError: As for `count_tokens`, or `limit` is not zero or a positive number.
    """
    if not isinstance(limit, int) or isinstance(limit, bool) or limit < 0:
        raise ConfigurationError(f"limit={limit!r}: a number of tokens is needed, as in limit=8000")
    return _counter(x, model, wait=wait).exceeds(x, limit, wait=wait)


def _counter(x: object, model: str | None, *, wait: bool) -> Counter:
    if model is None and isinstance(x, Mapping):
        model = x.get("model")
    if not (model is None or isinstance(model, str)):
        raise ConfigurationError(f'model={model!r}: a name is needed, such as model="gpt-4o"')
    if model is not None and (source := offered()) is not None:
        offer = source.tokenizer(model, wait=wait)
        if offer is not None:
            return _plugin_counter(offer.value, model)
    return counter(model)
