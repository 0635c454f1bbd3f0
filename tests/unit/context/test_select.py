"""Choosing units within a budget: the sums are those of the text that comes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agentperf.context.counting import Tokens
from agentperf.context.select import Selection
from agentperf.context.tree import Node, Style

MARK = 50
MARKS = dict.fromkeys(Style, MARK)


@st.composite
def trees(draw, depth=3):
    """Make trees of fixed and loose nodes."""
    node = Node("x" * draw(st.integers(0, 9)), fixed=draw(st.booleans()))
    if depth:
        for child in draw(st.lists(trees(depth - 1), max_size=4)):
            node.add(child)
    return node


def cost(node):
    """Count what a tree costs as it is: its text, and a mark for each gap."""
    told = len(node.text)
    gap = False
    for child in node.children:
        told += cost(child) if child.kept else MARK * (not gap)
        gap = not child.kept
    return told


def planted(root):
    """Measure a tree; list what can be chosen."""
    root.fixed = True
    root.measure(Tokens(len), MARKS)
    return [node for node in root.walk() if not node.fixed]


@given(trees(), st.integers(0, 400), st.randoms(use_true_random=False))
def test_the_sum_is_what_is_kept(root, budget, chance):
    """Whatever is chosen in whatever order, marks included, and whatever gaps are closed."""
    nodes = planted(root)
    chance.shuffle(nodes)
    selection = Selection(root, MARKS, budget)
    assert selection.spent == cost(root)
    selection.take(nodes)
    assert selection.spent == cost(root)
    assert selection.spent <= max(budget, root.opening)
    selection.close_gaps()
    assert selection.spent == cost(root)


@given(trees())
def test_what_is_fixed_is_kept_with_its_parent(root):
    """And what is kept is in something that is kept."""
    nodes = planted(root)
    Selection(root, MARKS, 150).take(nodes)
    for node in root.walk():
        if node.parent is not None:
            assert node.parent.kept or not node.kept
            assert node.kept or not (node.fixed and node.parent.kept)


@given(trees())
def test_everything_is_kept_when_there_is_room(root):
    """A budget for the whole tree leaves no gap."""
    nodes = planted(root)
    Selection(root, MARKS, 10_000).take(nodes)
    assert all(node.kept for node in root.walk())
    assert root.kept_text() == root.full_text()
