"""A document as a tree: which units it has, and which of them stay whatever happens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from agentperf.context.counting import Tokens
from agentperf.context.document import Document, Passage
from agentperf.context.json_text import compact
from agentperf.context.json_tree import json_node
from agentperf.context.keeping import Keeper
from agentperf.context.marks import read_mark
from agentperf.context.pieces import Kind, Piece
from agentperf.context.tree import Node, Style
from agentperf.context.units import units

_HEADING = re.compile(r"^#{1,6} [^\n]*(?:\n|\Z)", re.MULTILINE)


def plant(
    document: Document, tokens: Tokens, keep: Keeper, longest: int
) -> tuple[Node, dict[Passage, Node]]:
    """Make the tree of a document.

    Args:
        document: What is to be cut.
        tokens: The counter.
        keep: What must stay.
        longest: How many characters a unit should have at most.

    Returns:
        The root, with a child for each group of messages, and the node of each text.
    """
    root = Node(style=Style.TEXT if document.is_text else Style.MESSAGE, fixed=True)
    nodes: dict[Passage, Node] = {}
    passages = iter(document.passages)
    ...
