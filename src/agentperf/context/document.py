"""A text or a list of messages, opened up for changes and put together again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from agentperf.context.calls import groups, pending
from agentperf.context.counting import Tokens
from agentperf.context.framing import FRAME_TOKENS, REPLY_TOKENS, frame_text, frame_tokens
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


class Passage:
    """One of the texts in the content.

    Args:
        given: The text.
        message: The message it is in; 0 in a content that is one text.
        path: Where it is in that message.
        frozen: It survives whole.

    Attributes:
        plain: The pieces before lines of a log were folded.
    """

    def __init__(
        self, given: str, message: int = 0, path: Path = (), *, frozen: bool = False
    ) -> None:
        self.text = given
        self.message = message
        self.path = path
        self.frozen = frozen
        self.plain: Sequence[Piece] = ()

    @cached_property
    def pieces(self) -> Sequence[Piece]:
        """What the text consists of; found out when it is needed."""
        return split(self.text)

    def revise(self, pieces: Sequence[Piece]) -> bool:
        """Take other pieces; tell whether the text is another now."""
        text = join(pieces)
        changed = text != self.text
        self.text = text
        self.pieces = pieces
        return changed


@dataclass(frozen=True, slots=True)
class Draft:
    """What stays of a content.

    Attributes:
        order: The messages that stay, and a mark for each run of them that doesn't.
        texts: What the texts in these messages are now.
    """

    order: Sequence[range | Mark]
    texts: Mapping[Passage, str]


class Document:
    """Content, taken apart.

    Args:
        content: A text, or a list or tuple of messages.
        tokens: The counter.

    Attributes:
        is_text: It is one text.
        query: What the user asks in the end; empty for a content that is one text.
        passages: Its texts, in order.

    Raises:
        ConfigurationError: It is something else.
    """

    def __init__(self, content: Any, tokens: Tokens) -> None:
        self._content = content
        self._tokens = tokens
        self._asking: int | None = None
        self.is_text = isinstance(content, str)
        self.query = ""
        if self.is_text:
            self.passages = [Passage(content)]
            return
        if not isinstance(content, list | tuple) or not all(map(_is_message, content)):
            raise ConfigurationError(
                f"content is {_kinds(content)}: a text is needed, or a list of messages such as "
                '[{"role": "user", "content": "Hello"}]'
            )
        if (asking := last_user(content)) is not None:
            self._asking = asking
            self.query = own_text(content[asking])
        whole = self._whole
        self.passages = [
            Passage(text, at, path, frozen=at in whole and _is_own(path))
            for at, message in enumerate(content)
            for path, text in texts(message)
        ]

    @cached_property
    def groups(self) -> list[range]:
        """Which messages go or stay together; one group for a text."""
        return [range(1)] if self.is_text else groups(self._content)

    @cached_property
    def fixed(self) -> set[int]:
        """The messages that stay: protected ones, calls without a result, and what came last."""
        if self.is_text:
            return {0}
        return {*self._whole, *pending(self._content), *(self.groups[-1] if self.groups else ())}

    @cached_property
    def frames(self) -> list[int]:
        """What the messages have beside their texts, in tokens."""
        if self.is_text:
            return [0]
        return [frame_tokens(message, self._tokens) for message in self._content]

    def topic(self, messages: range) -> str:
        """Return what can be read in messages beside their texts."""
        if self.is_text:
            return ""
        return " ".join(frame_text(self._content[at]) for at in messages)

    def loose(self) -> Iterator[Passage]:
        """Yield the texts that may change."""
        return (passage for passage in self.passages if not passage.frozen)

    def as_it_is(self) -> Draft:
        """Return all messages with their texts as they are by now."""
        whole = [range(1 if self.is_text else len(self._content))]
        return Draft(whole, {passage: passage.text for passage in self.passages})

    def size(self, draft: Draft) -> int:
        """Count the tokens of what stays."""
        told = sum(map(self._tokens, draft.texts.values()))
        if self.is_text:
            return told
        for part in draft.order:
            if isinstance(part, Mark):
                told += FRAME_TOKENS + self._tokens(str(part))
            else:
                told += sum(self.frames[at] for at in part)
        return REPLY_TOKENS + told

    def content(self, draft: Draft) -> Any:
        """Make the content of what stays; it is of the type that was given."""
        if self.is_text:
            return draft.texts[self.passages[0]]
        edits: dict[int, dict[Path, str]] = {}
        for passage, text in draft.texts.items():
            edits.setdefault(passage.message, {})[passage.path] = text
        result: list[Any] = []
        for part in draft.order:
            if isinstance(part, Mark):
                result.append({"role": "user", "content": str(part)})
            else:
                result += [with_texts(self._content[at], edits.get(at, {})) for at in part]
        return tuple(result) if isinstance(self._content, tuple) else result

    @cached_property
    def _whole(self) -> set[int]:
        """The messages that survive whole: instructions and what the user says last."""
        instructions = {at for at, message in enumerate(self._content) if is_instruction(message)}
        return instructions if self._asking is None else {*instructions, self._asking}


def _kinds(content: Any) -> str:
    """Say of what kind something is, and what is in it; what it says may be somebody's secret."""
    kind = type(content).__name__
    if not isinstance(content, list | tuple):
        return f"of type {kind}"
    return (
        f"a {kind} of {', '.join(sorted({type(item).__name__ for item in content})) or 'nothing'}"
    )


def _is_message(value: object) -> bool:
    # An item of a request may have no role; an object of a framework without one is no message.
    return bool(get(value, "role") or (isinstance(value, Mapping) and get(value, "type"))) and (
        not isinstance(value, str)
    )


def _is_own(path: Path) -> bool:
    """Tell whether a text is what the message says itself, and not the result of a tool in it."""
    return len(path) < 3 or path[2] == "text"
