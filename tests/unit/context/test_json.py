"""JSON without its white space, and as a tree of units."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.context import compress
from agentperf.context.json_text import compact, elements
from agentperf.context.json_tree import json_node

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=300),
    lambda inner: st.lists(inner, max_size=8) | st.dictionaries(st.text(), inner, max_size=8),
    max_leaves=40,
)
documents = st.lists(values, max_size=8) | st.dictionaries(st.text(), values, max_size=8)


@given(documents, st.sampled_from([None, 1, 4, "\t"]), st.booleans())
def test_compact_json_says_the_same(value, indent, ascii_only):
    """Every value is the same, and white space inside strings stays."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    dense = compact(text)
    assert json.loads(dense) == value
    assert dense == json.dumps(value, ensure_ascii=ascii_only, separators=(",", ":"))


@pytest.mark.parametrize(
    "number", ["1.0", "1.50", "-0", "1E400", "12345678901234567890123", "1e-7"]
)
def test_numbers_keep_every_character(number):
    """No number is ever read and written again."""
    assert compact(f'{{ "n" : [ {number} ] }}') == f'{{"n":[{number}]}}'


def test_keys_that_come_twice_stay():
    """What a parser would drop is there."""
    assert compact('{ "a": 1, "a": 2 }') == '{"a":1,"a":2}'


@given(documents)
def test_elements_are_what_stands_between_the_commas(value):
    """Each element is JSON, or a member of an object."""
    text = json.dumps(value, separators=(",", ":"))
    found = [text[a:b] for a, b in elements(text, 0, len(text))]
    if isinstance(value, list):
        assert [json.loads(each) for each in found] == value
    else:
        assert json.loads(f"{{{','.join(found)}}}") == value


@given(documents, st.integers(1, 200))
def test_a_tree_is_the_text(value, longest):
    """However finely it is cut, the tree says what the text says."""
    text = json.dumps(value, separators=(",", ":"))
    assert json_node(f"{text}\n", longest).full_text() == f"{text}\n"


@given(documents, st.integers(20, 300), st.text(max_size=10))
def test_cut_json_is_json(value, budget, query):
    """Whatever is left out, marks stand as items or in strings, and all the rest is what it was."""
    text = json.dumps(value, indent=1)
    result = compress(text, max_tokens=budget, query=query, count=len, on_fail="keep").value
    if result[:1] in ("[", "{") and not result.startswith("[... "):
        json.loads(result)


def test_items_are_left_out_whole():
    """An array keeps the items that the query names, and a mark counts the others."""
    rows = [{"id": n, "name": f"order {n}", "price": n * 1.5} for n in range(200)]
    text = json.dumps({"ok": True, "rows": rows})
    result = compress(text, max_tokens=400, query="order 142", count=len)
    read = json.loads(result.value)
    marks = [row for row in read["rows"] if isinstance(row, str)]
    kept = [row for row in read["rows"] if not isinstance(row, str)]
    assert read["ok"] is True
    assert rows[142] in kept
    assert all(row in rows for row in kept)
    assert sum(int(mark.split()[1]) for mark in marks) == 200 - len(kept)


def test_long_strings_lose_whole_lines():
    """What a tool returned inside of a JSON string is shortened, and is a valid string again."""
    lines = [f"line {n} tells of thing {n * 3} and nothing else" for n in range(300)]
    text = json.dumps({"path": "a.txt", "content": "\n".join(lines)})
    result = compress(text, max_tokens=600, query="thing 450", count=len)
    read = json.loads(result.value)
    assert read["path"] == "a.txt"
    assert lines[150] in read["content"]
    assert set(read["content"].split("\n")) - set(lines) == {
        line for line in read["content"].split("\n") if line.startswith("[... ")
    }


def test_a_string_without_units_is_left_out_whole():
    """A blob is never cut in the middle; a mark stands in its place."""
    text = json.dumps({"name": "picture", "data": "QUJD" * 5000})
    read = json.loads(compress(text, max_tokens=200, count=len).value)
    assert read["name"] == "picture"
    assert read["data"] == "[... 1 value (20002 tokens) left out ...]"


def test_small_json_in_between_is_compacted():
    """A document between sentences loses its white space, the sentences lose nothing."""
    rows = json.dumps([{"id": n, "name": f"row {n}"} for n in range(3)], indent=4)
    result = compress(f"Here  it is:\n{rows}\nDone.", count=len).value
    assert result == f"Here  it is:\n{compact(rows)}\nDone."
