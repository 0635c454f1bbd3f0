"""What can be said of a compression, checked once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from agentperf._base.options import share, whole
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
    if max_tokens is not None:
        whole("max_tokens", max_tokens, 8000)
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
    return CompressOptions(
        max_tokens=max_tokens,
        ratio=None if ratio is None else share("ratio", ratio, 0.5),
        query=query,
        keep=Keeper(keep),
        on_fail=on_fail,
        strip_comments=strip_comments,
    )
