"""Texts and messages as a tree of units, each of which is kept or left out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import groupby

from agentperf.context.counting import Tokens
from agentperf.context.marks import Mark

_ESCAPED = "\\n"
"""A newline as it stands in a JSON string."""


class Style(Enum):
    """How a mark is written among the children of a node.

    Attributes:
        TEXT: As it is.
        JSON: As a string, between elements.
        STRING: As it is, in the middle of a string.
        MESSAGE: As a message of its own.
    """

    TEXT = auto()
    JSON = auto()
    STRING = auto()
    MESSAGE = auto()


@dataclass(slots=True, eq=False)
class Node:
    """A unit, or what holds units together.

    Attributes:
        text: The unit itself; of what holds others, what comes before them.
        noun: What a mark calls the unit.
        amount: How many of those it is.
        children: The units inside.
        tail: What comes after the children.
        glue: What stands between them.
        style: How a mark among them is written.
        fixed: It goes only if its parent goes.
        at: Where `text` begins in the piece it was cut from.
        topic: Words beside its own that say what it is about.
        mark: The mark that it is, from an earlier compression or an earlier stage.
        stands_for: Of such a mark: the block that must stand further up.
        coded: It holds fenced code.
        cost: Tokens of itself without its children; what it is given in the beginning, such as for
            the calls in a message, is part of it.
        opening: Tokens it costs to keep it with its fixed children only.
        whole: Tokens it costs to keep it with all its children.
        left: Tokens that a mark names when it goes.
        parent: What it is in.
        place: Which of its parent's children it is.
        kept: It stays.
        short: What stays of it, where that is a part only.
    """

    text: str = ""
    noun: str = "line"
    amount: int = 1
    children: list[Node] = field(default_factory=list)
    tail: str = ""
    glue: str = ""
    style: Style = Style.TEXT
    fixed: bool = False
    at: int = 0
    topic: str = ""
    mark: Mark | None = None
    stands_for: str = ""
    coded: bool = False
    cost: int = 0
    opening: int = 0
    whole: int = 0
    left: int = 0
    parent: Node | None = None
    place: int = 0
    kept: bool = False
    short: str = ""

    def add(self, child: Node) -> None:
        """Put a unit inside, after the others."""
        child.parent = self
        child.place = len(self.children)
        self.children.append(child)

    def pin(self, top: Node | None = None) -> None:
        """Make it stay, with everything it is in, up to `top` or all the way."""
        node: Node | None = self
        while node is not None and node is not top:
            node.fixed = True
            node = node.parent

    @property
    def is_plain(self) -> bool:
        """Whether it is plain text, which can be cut where need be."""
        in_text = self.parent is not None and self.parent.style is Style.TEXT
        return in_text and self.noun in {"line", "sentence"} and not self.coded and not self.mark

    def walk(self) -> Iterator[Node]:
        """Go through the node and everything in it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()

    def measure(self, tokens: Tokens, marks: dict[Style, int]) -> None:
        """Fill in what it costs, from the leaves up.

        Args:
            tokens: The counter.
            marks: What a mark of each style costs.
        """
        self.cost += tokens(self.text) + tokens(self.tail)
        self.opening = self.whole = self.left = self.cost
        for child in self.children:
            child.measure(tokens, marks)
            self.opening += child.opening if child.fixed else 0
            self.whole += child.whole
            self.left += child.left
        self.opening += marks[self.style] * sum(
            not fixed for fixed, _ in groupby(child.fixed for child in self.children)
        )
        if self.mark:
            self.left = self.mark.tokens

    def full_text(self) -> str:
        """Return all its text, whatever is kept."""
        return f"{self.text}{self.glue.join(c.full_text() for c in self.children)}{self.tail}"

    def kept_text(self) -> str:
        """Return what is kept of it, with a mark in each place where something is not."""
        if self.short:
            return self.short
        parts: list[str] = []
        for kept, run in runs(self.children):
            if kept:
                parts += [child.kept_text() for child in run]
            else:
                parts.append(_marked(run, self.style))
        return f"{self.text}{self.glue.join(parts)}{self.tail}"


def runs(nodes: Sequence[Node]) -> Iterator[tuple[bool, list[Node]]]:
    """Group neighbours by whether they are kept."""
    for kept, run in groupby(nodes, key=lambda node: node.kept):
        yield kept, list(run)


def mark_of(run: Sequence[Node]) -> Mark:
    """Make the mark for units that are left out."""
    nouns = {node.noun for node in run}
    noun = nouns.pop() if len(nouns) == 1 else "part"
    return Mark(sum(node.amount for node in run), noun, sum(node.left for node in run))


def _marked(run: Sequence[Node], style: Style) -> str:
    """Write the mark in place of units; white space at their end stays, so lines stay lines."""
    mark = str(mark_of(run))
    if style is Style.JSON:
        return json.dumps(mark)
    last = run[-1].full_text()
    if style is Style.STRING:
        return f"{mark}{_ESCAPED}" if last.endswith(_ESCAPED) else mark
    return f"{mark}{last[len(last.rstrip()) :]}"
