"""What a result says of itself: the tokens a model's answer used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agentperf.usage import Usage

_NAMES = (
    ("input_tokens", "prompt_tokens"),
    ("output_tokens", "completion_tokens"),
)


def usage_of(result: Any) -> Usage | None:
    """Return the usage that a model's answer, or a chunk of one, reports; None without one.

    Understands `Usage` itself, and objects or mappings with a `usage` that names its tokens the way
    OpenAI (chat completions, responses, embeddings) or Anthropic do.
    """
    if isinstance(result, Usage):
        return result
    reported = _get(result, "usage")
    if isinstance(reported, Usage):
        return reported
    if reported is None:
        response = _get(result, "response")  # the last event of a streamed response
        reported = None if response is None else _get(response, "usage")
        if reported is None:
            return None
    counts = [_first(reported, names) for names in _NAMES]
    if all(count is None for count in counts):
        return None
    details = _get(reported, "prompt_tokens_details") or _get(reported, "input_tokens_details")
    cached = _whole(_get(details, "cached_tokens")) or _whole(
        _get(reported, "cache_read_input_tokens")
    )
    return Usage(counts[0] or 0, counts[1] or 0, cached or 0)


def _first(holder: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        if (value := _whole(_get(holder, name))) is not None:
            return value
    return None


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _get(holder: Any, name: str) -> Any:
    if isinstance(holder, Mapping):
        return holder.get(name)
    return getattr(holder, name, None) if holder is not None else None
