"""Messages as the providers shape them: what they say, and how they look with less text."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from agentperf.context.marks import read_mark

Path = tuple[str | int, ...]
"""Where a text is in a message: keys and positions, from the outside in."""

CALLING = {"tool_use", "server_tool_use", "mcp_tool_use"}
"""Kinds of blocks that call a tool."""

_INSTRUCTING = {"system", "developer"}
_TEXT = {"text", "input_text", "output_text"}


def get(message: object, name: str) -> Any:
    """Read a field of a message, which is a mapping or an object of a client library."""
    return message.get(name) if isinstance(message, Mapping) else getattr(message, name, None)


def blocks(message: object, name: str = "content") -> Sequence[Any]:
    """Return the blocks of a message's content; a content that is a text has none."""
    value = get(message, name)
    return value if isinstance(value, list | tuple) else ()


def is_instruction(message: object) -> bool:
    """Tell whether it is a system or a developer message."""
    return get(message, "role") in _INSTRUCTING


def last_user(messages: Sequence[object]) -> int | None:
    """Find the user's last message; results of tools and marks are not what a user says."""
    for at in range(len(messages) - 1, -1, -1):
        if get(messages[at], "role") == "user":
            said = own_text(messages[at])
            if said and read_mark(said) is None:
                return at
    return None


def own_text(message: object) -> str:
    """Return what a message says itself, without the results of tools in it."""
    content = get(message, "content")
    if isinstance(content, str):
        return content
    return "\n".join(
        str(get(block, "text")) for block in blocks(message) if is_one_of(block, _TEXT)
    )


def texts(message: object) -> Iterator[tuple[Path, str]]:
    """Find the texts of a message that can be shortened, those in results of tools included.

    An object of a client library is taken as it is: it has none.
    """
    if not isinstance(message, Mapping):
        return
    for name in ("content", "output"):
        if isinstance(message.get(name), str):
            yield (name,), message[name]
        for at, block in enumerate(blocks(message, name)):
            if is_one_of(block, _TEXT) and isinstance(get(block, "text"), str):
                yield (name, at, "text"), get(block, "text")
            elif is_one_of(block, {"tool_result"}):
                yield from (((name, at, *path), text) for path, text in texts(block))


def with_texts(message: Any, changed: Mapping[Path, str]) -> Any:
    """Return a message in which some texts are others: a copy, if they are."""
    for path, text in texts(message):
        if changed.get(path, text) != text:
            message = _put(message, path, changed[path])
    return message


def _put(value: Any, path: Path, text: str) -> Any:
    if not path:
        return text
    step: Any = path[0]
    changed: Any = list(value) if isinstance(value, tuple) else copy.copy(value)
    changed[step] = _put(changed[step], path[1:], text)
    return tuple(changed) if isinstance(value, tuple) else changed


def is_one_of(block: object, kinds: set[str]) -> bool:
    """Tell whether a block is of one of some kinds."""
    return str(get(block, "type")) in kinds
