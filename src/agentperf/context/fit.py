"""Making a document fit a budget: the units nearest to the query stay, in their order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from agentperf.context.bm25 import lend, rank
from agentperf.context.counting import Tokens
from agentperf.context.document import Document, Draft
from agentperf.context.framing import FRAME_TOKENS
from agentperf.context.headtail import shorten
from agentperf.context.marks import Mark
from agentperf.context.planting import plant
from agentperf.context.select import Selection
from agentperf.context.stages import Setting
from agentperf.context.tree import Node, Style, mark_of, runs
from agentperf.context.trouble import tells_of_trouble

_TRIES = 8
_FEWEST_UNITS = 12
"""A budget should have room for so many units at least, ..."""

_SHORTEST = 96
_LONGEST = 480
"""... each of them with between so many characters."""

_RECENT = 0.1
_EDGE = 0.15
"""Shares of the budget that go to the newest messages, and to each end of a text, unasked."""


def fit(document: Document, budget: int, setting: Setting) -> Draft:
    """Leave out what is furthest from the query until the rest fits, marks included.

    Args:
        document: What is too long.
        budget: The tokens it may have.
        setting: The counter, what must stay, and the query that units are ranked by; an empty one
            prefers both ends of a text, and new messages.

    Returns:
        What stays; the least that was tried, when what must stay is over the budget.
    """
    longest = min(_LONGEST, max(_SHORTEST, budget * 4 // _FEWEST_UNITS))
    fitting = _Fitting(document, setting, longest)
    room = budget
    tried: list[tuple[int, Draft]] = []
    for _ in range(_TRIES):
        draft = fitting.within(room)
        size = document.size(draft)
        tried.append((size, draft))
        if size <= budget or room <= 0:
            break
        # Texts counted apart and counted together differ by a little.
        room = max(0, room - (size - budget))
    return min(tried, key=lambda each: each[0])[1]


class _Fitting:
    """A planted document, from which as much is kept as a budget allows.

    Args:
        document: What is too long.
        setting: The counter, what must stay and the query.
        longest: How many characters a unit should have at most.
    """

    def __init__(self, document: Document, setting: Setting, longest: int) -> None:
        self._document = document
        self._tokens = tokens = setting.tokens
        self._root, self._nodes = plant(document, setting.keep, longest)
        self._marks = _mark_costs(self._root, tokens)
        self._root.measure(tokens, self._marks)
        self._units: list[Node] = []
        _collect(self._root, self._units)
        self._ranked = _ranked(self._units, setting.query, newest_first=not document.is_text)

    def within(self, budget: int) -> Draft:
        """Return what fits into a budget."""
        selection = Selection(self._root, self._marks, budget)
        self._take_edges(selection, budget)
        selection.take(unit for unit in self._ranked if unit.coded)
        selection.take(self._ranked)
        selection.close_gaps()
        selection.take(self._ranked)
        if selection.rest > budget // 3:
            self._take_part(selection)
        self._drop_dangling()
        return self._harvest()

    def _take_edges(self, selection: Selection, budget: int) -> None:
        """Take the beginning and the end of a text, and the newest of a list of messages."""
        if self._document.is_text:
            for edge in (*self._units[:1], *self._units[-1:]):
                if selection.price(edge) <= _EDGE * budget:
                    selection.keep(edge)
            return
        rest = _RECENT * budget
        for unit in reversed(self._units):
            rest -= selection.price(unit)
            if rest < 0 or not selection.keep(unit):
                return

    def _take_part(self, selection: Selection) -> None:
        """Take the beginning and the end of the best unit that is too long as a whole."""
        for unit in self._ranked:
            if not unit.kept and not unit.children and unit.is_plain:
                selection.keep_part(unit, partial(shorten, unit.text, self._tokens), self._tokens)
                return

    def _drop_dangling(self) -> None:
        """Drop what refers to a block further up that is no longer there."""
        references = [node for node in self._root.walk() if node.kept and node.stands_for]
        if references:
            told = "\n".join(node.kept_text() for node in self._nodes.values() if node.kept)
            for node in references:
                node.kept = node.fixed or node.stands_for in told

    def _harvest(self) -> Draft:
        groups = dict(zip(self._root.children, self._document.groups, strict=True))
        order: list[range | Mark] = []
        for kept, run in runs(self._root.children):
            order += [groups[node] for node in run] if kept else [mark_of(run)]
        texts = {p: node.kept_text() for p, node in self._nodes.items() if node.kept}
        return Draft(order, texts)


def _mark_costs(root: Node, tokens: Tokens) -> dict[Style, int]:
    """Tell what a mark costs at most, by where it stands."""
    leaves = [node for node in root.walk() if not node.children]
    size = sum(tokens(node.text) for node in leaves)
    mark = str(Mark(sum(node.amount for node in leaves), "sentence", size))
    return {
        Style.TEXT: tokens(f"{mark}\n"),
        Style.JSON: tokens(f"{json.dumps(mark)},"),
        Style.STRING: tokens(f"{mark}\\n"),
        Style.MESSAGE: tokens(mark) + FRAME_TOKENS,
    }


def _collect(node: Node, found: list[Node]) -> bool:
    """List the units that can be chosen; tell whether there is one in the node."""
    loose = False
    for child in node.children:
        loose = _collect(child, found) or loose
    if node.fixed:
        return loose
    if (node.coded or not loose or node.style is Style.JSON) and node.mark is None:
        found.append(node)
    return True


def _ranked(units: Sequence[Node], query: str, *, newest_first: bool) -> list[Node]:
    """Order units: the nearest to the query first, and of equal ones those that tell of trouble.

    Then the newest of messages, and of a text what is nearest to its beginning or end.
    """
    texts = [f"{unit.topic} {unit.full_text()}" for unit in units]
    scores = lend(rank(query, texts))
    last = len(units) - 1
    keys: dict[Node, tuple[float, bool, int]] = {}
    for at, (unit, text, score) in enumerate(zip(units, texts, scores, strict=True)):
        place = last - at if newest_first else min(at, last - at)
        keys[unit] = (-score, not tells_of_trouble(text), place)
    return sorted(units, key=keys.__getitem__)
