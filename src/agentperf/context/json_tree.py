"""JSON as a tree: items of arrays and parts of long strings are units, the rest stays around."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator

from agentperf.context.json_text import elements
from agentperf.context.marks import read_mark
from agentperf.context.pieces import lines_of, spans
from agentperf.context.tree import Node, Style
from agentperf.context.units import units

_KEY = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*":')
_DEEPEST = 6
_SMALLEST = 32
"""Items are taken together until they have so many characters."""


def json_node(text: str, longest: int) -> Node:
    """Make a tree of a compact JSON text; what is short, or too deep inside, is one unit.

    Args:
        text: The JSON, with nothing before it; white space after it is allowed.
        longest: How many characters a unit should have at most.
    """
    bare = text.rstrip()
    node = _value(bare, 0, len(bare), longest, _DEEPEST)
    if node.children:
        node.tail += text[len(bare) :]
        if node.noun == "item":
            node.amount = sum(child.amount for child in node.children)
    else:
        node.text = text
    return node


def _value(text: str, start: int, end: int, longest: int, depth: int) -> Node:
    inside = _INSIDE.get(text[start])
    if inside is None or end - start <= longest or not depth:
        return Node(text[start:end], "item", at=start)
    node = inside(text, start, end, longest, depth - 1)
    return node if node.children else Node(text[start:end], "item", at=start)


def _array(text: str, start: int, end: int, longest: int, depth: int) -> Node:
    node = Node("[", "item", tail="]", glue=",", style=Style.JSON, at=start)
    for begin, stop, count in _packed(text, start, end, longest):
        child = _value(text, begin, stop, longest, depth) if count == 1 else None
        child = child or Node(text[begin:stop], "item", at=begin)
        child.amount, child.noun = count, "item"
        if child.text.startswith('"[...') and (mark := read_mark(child.text.strip('"'))):
            child.mark, child.amount, child.noun = mark, mark.count, mark.noun
        node.add(child)
    return node


def _packed(text: str, start: int, end: int, longest: int) -> Iterator[tuple[int, int, int]]:
    """Yield begin, end and number of items that are taken together."""
    begun, stop, count = start + 1, start + 1, 0
    for begin, stop in elements(text, start, end):
        alone = stop - begin >= _SMALLEST or text.startswith('"[...', begin)
        if count and (alone or stop - begun > longest):
            yield begun, begin - 1, count
            count = 0
        begun = begun if count else begin
        count += 1
        if alone or stop - begun >= _SMALLEST:
            yield begun, stop, count
            count = 0
    if count:
        yield begun, stop, count


def _object(text: str, start: int, end: int, longest: int, depth: int) -> Node:
    """Keep all members; only what is inside of long ones can go."""
    node = Node("{", "object", tail="}", glue=",", style=Style.JSON, at=start)
    begun = done = start + 1
    for begin, stop in elements(text, start, end):
        key = _KEY.match(text, begin)
        if key is None or stop - key.end() <= longest:
            done = stop
            continue
        if done > begun:
            node.add(Node(text[begun:done], at=begun, fixed=True))
        node.add(_member(text, key, stop, longest, depth))
        begun = done = stop + 1
    if done > begun:
        node.add(Node(text[begun:done], at=begun, fixed=True))
    return node


def _member(text: str, key: re.Match[str], stop: int, longest: int, depth: int) -> Node:
    value = _value(text, key.end(), stop, longest, depth)
    if value.children:
        value.text = f"{key[0]}{value.text}"
        value.at = key.start()
        value.fixed = True
        return value
    member = Node(key[0], at=key.start(), style=Style.JSON, fixed=True)
    value.noun = "value"
    member.add(value)
    return member


def _string(text: str, start: int, end: int, longest: int, _: int) -> Node:
    """Cut what a long string says into units; what is left of it is a valid string again."""
    raw = text[start:end]
    parts = units(json.loads(raw), longest)
    written = [json.dumps(part, ensure_ascii=raw.isascii())[1:-1] for part in parts]
    if len(parts) == 1 or "".join(written) != raw[1:-1]:
        return Node(raw, "item", at=start)
    node = Node('"', "item", tail='"', style=Style.STRING, at=start)
    for part, inner, (at, _) in zip(parts, written, spans(written), strict=True):
        unit = Node(inner, "sentence", at=start + 1 + at, topic=part)
        if part.endswith("\n"):
            unit.noun, unit.amount = "line", max(1, sum(map(bool, map(str.strip, lines_of(part)))))
        node.add(unit)
    return node


_INSIDE: dict[str, Callable[[str, int, int, int, int], Node]] = {
    "[": _array,
    "{": _object,
    '"': _string,
}
