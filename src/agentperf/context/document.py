"""A text or a list of messages, opened up for changes and put together again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentperf.context.calls import groups, pending
from agentperf.context.counting import Tokens
from agentperf.context.framing import frame_tokens
from agentperf.context.marks import Mark
from agentperf.context.messages import (
    Path,
    get,
    is_instruction,
    last_user,
    own_text,
    texts,
    with_texts,
)
from agentperf.context.pieces import Piece, join, split
from agentperf.errors import ConfigurationError


@dataclass(slots=True, eq=False)
class Passage:
    """One of the texts in the content.

    Attributes:
        before: The text as it was given.
        pieces: The text as it is by now.
        message: The message it is in; 0 in a content that is one text.
        path: Where it is in that message.
        frozen: It survives whole.
        unfolded: The pieces before lines of a log were folded.
    """

    before: str
    pieces: list[Piece]
    message: int = 0
    path: Path = ()
    frozen: bool = False
    unfolded: list[Piece] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text as it is by now."""
        return join(self.pieces)


class Document:
    """Content, taken apart.

    Attributes:
        passages: Its texts, in order.
        query: What the user asks in the end; empty for a content that is one text.
        groups: Which messages go or stay together; one for a text.
        fixed: The messages that stay: instructions, the user's last message, calls that wait for
            their result, and what came last.

    Raises:
        ConfigurationError: It is neither a text nor a list or tuple of messages.
    """

    def __init__(self, content: Any) -> None:
        self._content = content
        self.is_text = isinstance(content, str)
        self.fixed: set[int] = set()
        self.groups: list[range] = [range(1)]
        self.query = ""
        if self.is_text:
            self.passages = [Passage(content, split(content))]
            return
        if not isinstance(content, list | tuple) or not all(map(_is_message, content)):
            raise ConfigurationError(
                f"content={str(content)[:60]!r}: a text, or a list of messages such as "
                '[{"role": "user", "content": "Hello"}]'
            )
        self.groups = groups(content)
        asking = last_user(content)
        self.query = "" if asking is None else own_text(content[asking])
        instructions = {at for at, message in enumerate(content) if is_instruction(message)}
        whole = instructions if asking is None else {*instructions, asking}
        self.fixed = {*whole, *pending(content), *(self.groups[-1] if content else ())}
        self.passages = [
            Passage(text, split(text), at, path, at in whole and _is_own(path))
            for at, message in enumerate(content)
            for path, text in texts(message)
        ]

    def frame(self, message: int, tokens: Tokens) -> int:
        """Count what a message has beside its texts."""
        return 0 if self.is_text else frame_tokens(self._content[message], tokens)

    def loose(self) -> Iterator[Passage]:
        """Yield the texts that may change."""
        return (passage for passage in self.passages if not passage.frozen)

    def as_it_is(self) -> Any:
        """Return the content as it is by now, nothing left out but by marks in its texts."""
        return self.put_together(self.groups, {p: p.text for p in self.passages})

    def put_together(self, order: Iterable[range | Mark], changed: Mapping[Passage, str]) -> Any:
        """Make the content of what stays, with a mark for each run of messages that doesn't.

        Args:
            order: Messages that stay, and marks.
            changed: Texts that are others now.
        """
        if self.is_text:
            return changed.get(self.passages[0], self._content)
        edits: dict[int, dict[Path, str]] = {}
        for passage, text in changed.items():
            if text != passage.before:
                edits.setdefault(passage.message, {})[passage.path] = text
        result: list[Any] = []
        for part in order:
            if isinstance(part, Mark):
                result.append({"role": "user", "content": str(part)})
            else:
                result += [with_texts(self._content[at], edits.get(at, {})) for at in part]
        return tuple(result) if isinstance(self._content, tuple) else result


def _is_message(value: object) -> bool:
    return not isinstance(value, str) and bool(get(value, "role") or get(value, "type"))


def _is_own(path: Path) -> bool:
    """Tell whether a text is what the message says itself, and not the result of a tool in it."""
    return len(path) < 3 or path[2] == "text"
