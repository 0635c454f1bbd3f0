"""What can be said of a compression, checked once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from agentperf.context.counting import CountTokens
from agentperf.context.keeping import Keep, Keeper
from agentperf.errors import ConfigurationError

OnFail = Literal["error", "keep"]


@dataclass(frozen=True, slots=True)
class CompressOptions:
    """The options of one compression, in their final form; see `compress` for their meaning."""

    max_tokens: int | None
    ratio: float | None
    query: str | None
    keep: Keeper
    on_fail: OnFail
    strip_comments: bool


def checked(
    *,
    max_tokens: Any,
    ratio: Any,
    query: Any,
    keep: Keep | Iterable[Keep] | None,
    on_fail: Any,
    strip_comments: Any,
    count: CountTokens | None,
) -> CompressOptions:
    """Turn what the user wrote into options.

    Raises:
        ConfigurationError: Something is malformed; the message shows a good example.
    """
    if max_tokens is not None and not (_is_number(max_tokens, int) and max_tokens > 0):
        raise ConfigurationError(
            f"max_tokens={max_tokens!r}: a whole number from 1 up, such as max_tokens=8000"
        )
    if ratio is not None and not (_is_number(ratio, float) and 0 < ratio <= 1):
        raise ConfigurationError(
            f"ratio={ratio!r}: the share to keep, above 0 and up to 1, such as ratio=0.5"
        )
    if query is not None and not isinstance(query, str):
        raise ConfigurationError(f'query={query!r}: a text, such as query="Which disk is full?"')
    if on_fail not in ("error", "keep"):
        raise ConfigurationError(f'on_fail={on_fail!r}: one of "error", "keep"')
    if not isinstance(strip_comments, bool):
        raise ConfigurationError(
            f"strip_comments={strip_comments!r}: True or False, as in strip_comments=True"
        )
    if count is not None and not callable(count):
        raise ConfigurationError(
            f"count={count!r}: a function from a text to its tokens, such as "
            "count=lambda text: len(text.split())"
        )
    return CompressOptions(max_tokens, ratio, query, Keeper(keep), on_fail, strip_comments)


def _is_number(value: object, kind: type[float]) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, kind) and not isinstance(value, bool))
