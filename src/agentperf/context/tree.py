"""Texts and messages as a tree of units, each of which is kept or left out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import groupby

from agentperf.context.marks import Mark, read_mark
from agentperf.context.pieces import newline_of


class Style(Enum):
    """How a mark is written among the children of a node."""

    TEXT = auto()
    JSON = auto()
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
        stands_for: Of a mark: the block that must stand further up.
        coded: It holds fenced code, and goes after what holds none.
        base: Tokens it has besides its text.
        parent: What it is in.
        kept: It stays.
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
    stands_for: str = ""
    coded: bool = False
    base: int = 0
    parent: Node | None = None
    kept: bool = False

    def add(self, child: Node) -> Node:
        """Put a unit inside, after the others."""
        child.parent = self
        self.children.append(child)
        return child

    def pin(self, top: Node | None = None) -> None:
        """Make it stay, with everything it is in, up to `top` or all the way."""
        node: Node | None = self
        while node is not None and node is not top:
            node.fixed = True
            node = node.parent

    def walk(self) -> Iterator[Node]:
        """Go through the node and everything in it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()


def whole_text(node: Node) -> str:
    """Return all of a node's text, whatever is kept."""
    inner = node.glue.join(whole_text(child) for child in node.children)
    return f"{node.text}{inner}{node.tail}"


def kept_text(node: Node, sizes: dict[Node, int]) -> str:
    """Return what is kept of a node, with a mark in each place where something is not.

    Args:
        node: One that is kept itself.
        sizes: The tokens of every node with all it holds.
    """
    parts: list[str] = []
    for kept, run in runs(node.children):
        if kept:
            parts += [kept_text(child, sizes) for child in run]
        else:
            parts.append(_written(mark_of(run, sizes), node.style, run[-1]))
    return f"{node.text}{node.glue.join(parts)}{node.tail}"


def runs(nodes: list[Node]) -> Iterator[tuple[bool, list[Node]]]:
    """Group neighbours by whether they are kept."""
    for kept, run in groupby(nodes, key=_is_kept):
        yield kept, list(run)


def mark_of(run: list[Node], sizes: dict[Node, int]) -> Mark:
    """Make the mark for units that are left out; what older marks among them say is added up."""
    told = [_told(leaf, sizes) for node in run for leaf in _countable(node)]
    nouns = {mark.noun for mark in told}
    noun = nouns.pop() if len(nouns) == 1 else "part"
    left = sum(sizes[node] for node in run) + sum(
        mark.tokens - sizes[leaf]
        for node in run
        for leaf in node.walk()
        if (mark := read_mark(leaf.text)) is not None
    )
    return Mark(sum(mark.count for mark in told), noun, left)
