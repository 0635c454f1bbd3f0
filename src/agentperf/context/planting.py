"""A document as a tree: which units it has, and which of them stay whatever happens."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from agentperf.context.document import Document, Passage
from agentperf.context.framing import REPLY_TOKENS
from agentperf.context.json_text import compact
from agentperf.context.json_tree import json_node
from agentperf.context.keeping import Keeper
from agentperf.context.marks import read_mark
from agentperf.context.pieces import Kind, Piece, newline_of
from agentperf.context.tree import Node, Style
from agentperf.context.units import units

_HEADING = re.compile(r"^#{1,6} [^\n]*(?:\n|\Z)", re.MULTILINE)


def plant(document: Document, keep: Keeper, longest: int) -> tuple[Node, dict[Passage, Node]]:
    """Make the tree of a document.

    Args:
        document: What is to be cut.
        keep: What must stay.
        longest: How many characters a unit should have at most.

    Returns:
        The root, with a child for each group of messages, and the node of each text.
    """
    root = Node(style=Style.MESSAGE, fixed=True, cost=0 if document.is_text else REPLY_TOKENS)
    inside: dict[int, list[Passage]] = {}
    for passage in document.passages:
        inside.setdefault(passage.message, []).append(passage)
    nodes: dict[Passage, Node] = {}
    for group in document.groups:
        node = Node(noun="message", amount=len(group), topic=document.topic(group))
        node.fixed = not document.fixed.isdisjoint(group)
        node.cost = sum(document.frames[at] for at in group)
        root.add(node)
        for passage in (each for at in group for each in inside.get(at, ())):
            nodes[passage] = _Planter(node, keep, longest).plant(passage)
        _note_mark(node)
    return root, nodes


def _note_mark(group: Node) -> None:
    """Let a message that is a mark count as what it stands for."""
    leaves = [node for child in group.children for node in child.walk() if not node.children]
    if len(leaves) == 1 and (mark := read_mark(leaves[0].text)):
        group.mark, group.noun, group.amount = mark, mark.noun, mark.count


class _Planter:
    """Plants one text.

    Args:
        group: The node of the messages it is in.
        keep: What must stay.
        longest: How many characters a unit should have at most.
    """

    def __init__(self, group: Node, keep: Keeper, longest: int) -> None:
        self._group = group
        self._keep = keep
        self._longest = longest
        self._top = Node(fixed=True)
        self._section = self._top
        self._on_new_line = True

    def plant(self, passage: Passage) -> Node:
        """Make the node of a text, and put it into the group."""
        self._group.add(self._top)
        if passage.frozen:
            self._top.text = passage.text
            return self._top
        coded = any(piece.kind is Kind.FENCE for piece in passage.pieces)
        self._group.coded = self._group.coded or coded
        if len(passage.text) <= self._longest:
            self._top.text = passage.text
            self._hold(passage.text, [self._top])
            return self._top
        for piece in passage.pieces:
            self._plant(piece, last=piece is passage.pieces[-1])
            self._on_new_line = piece.text.endswith("\n")
        for section in self._top.children:
            _sum_up(section)
        return self._top

    def _plant(self, piece: Piece, *, last: bool) -> None:
        match piece.kind:
            case Kind.TEXT:
                self._plant_text(piece.text, last=last)
            case Kind.JSON:
                self._plant_json(piece.text)
            case Kind.FENCE:
                node = self._unit(piece.text)
                node.coded = True
                node.pin(self._group)
            case Kind.MARK:
                node = self._unit(piece.text)
                node.stands_for = piece.stands_for
                if mark := read_mark(piece.text):
                    node.mark, node.noun, node.amount = mark, mark.noun, mark.count

    def _plant_json(self, text: str) -> None:
        dense = compact(text)
        if self._keep.lost(text, dense):
            self._unit(text).pin()
            return
        node = json_node(f"{dense}{newline_of(text)}", self._longest)
        self._section.add(node)
        self._hold(dense, list(node.walk()))

    def _plant_text(self, text: str, *, last: bool) -> None:
        """Cut plain text at its headings; what a heading is over belongs to it."""
        headings = {found.start(): found.end() for found in _HEADING.finditer(text)}
        planted: list[Node] = []
        for begin, end in pairwise(sorted({0, *headings, len(text)})):
            body = headings.get(begin, begin)
            if begin in headings:
                self._section = self._top
                whole = end < len(text) or last
                if whole and end - begin <= self._longest:
                    body = end
                heading = self._unit(text[begin:body], begin)
                planted.append(heading)
                self._section = self._top if body == end and whole else heading
            for unit in units(text[body:end], self._longest) if body < end else ():
                planted.append(self._unit(unit, body, last=body + len(unit) == len(text)))
                body += len(unit)
        self._hold(text, planted)

    def _unit(self, text: str, at: int = 0, *, last: bool = True) -> Node:
        """Add a unit of text: it counts as its lines, or as a sentence within a line."""
        node = Node(text, at=at, topic=self._section.text)
        ends_line = text.endswith("\n")
        if self._on_new_line and (ends_line or last):
            node.amount = max(1, sum(1 for line in text.split("\n") if line.strip()))
        else:
            node.noun = "sentence"
        self._on_new_line = ends_line
        self._section.add(node)
        return node

    def _hold(self, text: str, nodes: Sequence[Node]) -> None:
        """Make the units stay that the caller wants kept."""
        if self._keep:
            places = [(node.at, node.at + len(node.text)) for node in nodes]
            for node, stays in zip(nodes, self._keep.which(text, places), strict=True):
                if stays:
                    node.pin()


def _sum_up(section: Node) -> None:
    """Let a heading count with what is below it."""
    if not section.children or section.style is Style.JSON:
        return
    nouns = {section.noun, *(child.noun for child in section.children)}
    section.noun = nouns.pop() if len(nouns) == 1 else "part"
    section.amount += sum(child.amount for child in section.children)
