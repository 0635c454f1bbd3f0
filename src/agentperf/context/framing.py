"""What messages have beside their texts, in tokens: names, calls, thoughts, media, and a frame."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from agentperf.context.counting import Tokens
from agentperf.context.messages import (
    CALLING,
    Path,
    blocks,
    get,
    is_one_of,
    own_text,
    texts,
)

FRAME_TOKENS = 4
"""Around each message, its role included, as OpenAI's chat format has them."""

REPLY_TOKENS = 3
"""What begins the reply."""

_CALL_TOKENS = 3
_NAME_TOKENS = 1
_MEDIUM = 765
"""An image of 1024 by 1024 pixels with several models; a guess, as for all media."""

_MEDIA = {
    "image", "image_url", "input_image", "audio", "input_audio", "file", "input_file", "document",
    "video", "video_url",
}  # fmt: skip
_NOT_READ = {
    "role", "type", "id", "index", "status", "cache_control", "annotations", "signature",
    "encrypted_content", "data", "call_id", "tool_call_id", "tool_use_id",
}  # fmt: skip


def frame_tokens(message: object, tokens: Tokens) -> int:
    """Count what a message has beside its texts."""
    told = sum(_MEDIUM if part is None else tokens(part) for part in _parts(message))
    calls = len(get(message, "tool_calls") or ()) + bool(get(message, "function_call"))
    calls += sum(is_one_of(block, CALLING) for block in blocks(message))
    return FRAME_TOKENS + told + _CALL_TOKENS * calls + _NAME_TOKENS * bool(get(message, "name"))


def frame_text(message: object) -> str:
    """Return what can be read in a message beside its texts."""
    return " ".join(part for part in _parts(message) if part)


def _parts(message: object) -> Iterator[str | None]:
    """Yield what a message has beside its texts and a model reads; None stands for a medium."""
    if isinstance(message, Mapping):
        yield from _strings(message, {path for path, _ in texts(message)}, ())
    else:
        yield from (str(part) for part in (own_text(message), get(message, "tool_calls")) if part)


def _strings(value: object, own: set[Path], path: Path) -> Iterator[str | None]:
    if isinstance(value, str):
        if path not in own:
            yield value
    elif is_one_of(value, _MEDIA):
        yield None
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            if name == "input" and path:
                yield json.dumps(inner, ensure_ascii=False, default=str)
            elif name not in _NOT_READ:
                yield from _strings(inner, own, (*path, name))
    elif isinstance(value, list | tuple):
        for at, inner in enumerate(value):
            yield from _strings(inner, own, (*path, at))
