"""What can be said of a compression, checked once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from agentperf.context.counting import CountTokens
from agentperf.context.keeping import Keep, Keeper
from agentperf.errors import ConfigurationError

OnFail = Literal["error", "keep"]


@dataclass(frozen=True, slots=True)
class CompressOptions:
    """The options of one compression, in their final form; see `compress` for their meaning."""

    max_tokens: int | None
    ratio: float | None
    model: str | None
    query: str | None
    keep: Keeper
    on_fail: OnFail
    strip_comments: bool
    count: CountTokens | None


def checked(
    *,
    max_tokens: object,
    ratio: object,
    model: str | None,
    query: object,
    keep: Keep | Iterable[Keep] | None,
    on_fail: object,
    strip_comments: bool,
    count: Callable[[str], int] | None,
) -> CompressOptions:
    """Turn what the user wrote into options.

    Raises:
        ConfigurationError: Something is malformed; the message shows a good example.
    """
    if max_tokens is not None and (not _is_number(max_tokens, int) or max_tokens < 1):
        raise ConfigurationError(
            f"max_tokens={max_tokens!r}: a whole number from 1 up, such as max_tokens=8000"
        )
    if ratio is not None and (not _is_number(ratio, int | float) or not 0 < ratio <= 1):
        raise ConfigurationError(
            f"ratio={ratio!r}: the share to keep, above 0 and up to 1, such as ratio=0.5"
        )
    if query is not None and not isinstance(query, str):
        raise ConfigurationError(
            f'query={query!r}: a text, such as query="Which disk is full?"'
        )
    if on_fail not in ("error", "keep"):
        raise ConfigurationError(f'on_fail={on_fail!r}: one of "error", "keep"')
    return CompressOptions(
        max_tokens, ratio, model, query, Keeper(keep), on_fail, strip_comments, count
    )


def _is_number(value: object, kind: object) -> bool: ...
