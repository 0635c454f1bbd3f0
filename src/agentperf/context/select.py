"""Choosing which units of a tree stay within a budget."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agentperf.context.counting import Tokens
from agentperf.context.tree import Node, Style, runs


class Selection:
    """The units chosen so far, and what they cost with the marks between them.

    Args:
        root: The tree, measured. What is fixed in it is chosen already.
        marks: What a mark of each style costs.
        budget: The tokens that may be spent.
    """

    def __init__(self, root: Node, marks: dict[Style, int], budget: int) -> None:
        self._root = root
        self._marks = marks
        self._budget = budget
        for node in root.walk():
            node.kept = False
            node.short = ""
        self._show(root)
        self.spent = root.opening

    @property
    def rest(self) -> int:
        """Tokens that may still be spent."""
        return self._budget - self.spent

    def take(self, nodes: Iterable[Node]) -> None:
        """Keep units in the order given, each that still fits."""
        for node in nodes:
            if not node.kept:
                self.keep(node)

    def keep(self, node: Node) -> bool:
        """Keep a unit, with all it needs around it, if that fits."""
        price = self.price(node)
        if price > self.rest:
            return False
        self._open(node, price)
        return True

    def keep_part(self, node: Node, cut: Callable[[int], str | None], tokens: Tokens) -> bool:
        """Keep a part of a unit, made by `cut` for the tokens that can be had."""
        around = self.price(node) - node.opening
        short = cut(self.rest - around)
        if short is None:
            return False
        node.short = short
        self._open(node, around + tokens(short))
        return True

    def price(self, node: Node) -> int:
        """Tell what it costs to keep a unit; less than nothing where a mark goes for it."""
        price = 0
        while not node.kept and node.parent is not None:
            # What is fixed is part of the opening of what it is in.
            if not node.fixed:
                price += node.opening + self._more_marks(node, node.parent)
            node = node.parent
        return price

    def close_gaps(self) -> None:
        """Keep what is shorter than the mark that stands for it."""
        for parent in [node for node in self._root.walk() if node.kept and node.children]:
            for kept, run in list(runs(parent.children)):
                more = sum(node.whole for node in run) - self._marks[parent.style]
                if not kept and more <= 0:
                    self.spent += more
                    for node in run:
                        for inner in node.walk():
                            inner.kept = True

    def _open(self, node: Node, price: int) -> None:
        self.spent += price
        opened: Node | None = node
        while opened is not None and not opened.kept:
            self._show(opened)
            opened = opened.parent

    def _show(self, node: Node) -> None:
        node.kept = True
        for child in node.children:
            if child.fixed and not child.kept:
                self._show(child)

    def _more_marks(self, node: Node, parent: Node) -> int:
        """Tell what the marks beside a unit will cost more when it stays."""
        siblings = parent.children
        gaps = -1
        if node.place > 0:
            gaps += _gone(siblings[node.place - 1], parent)
        if node.place + 1 < len(siblings):
            gaps += _gone(siblings[node.place + 1], parent)
        return gaps * self._marks[parent.style]


def _gone(node: Node, parent: Node) -> bool:
    """Tell whether a unit is left out, or would be if its parent were kept."""
    return not node.kept and (parent.kept or not node.fixed)
