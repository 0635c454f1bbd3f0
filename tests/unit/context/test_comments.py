"""Comments in fenced Python."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.context import compress

CODE = '''\
#!/usr/bin/env python
# A long comment that explains at length what the whole module is here for.
import os  # noqa: F401

def f(x):  # what it does is explained here, in more words than are needed
    # another comment, which stands on a line of its own and is rather long
    text = """
# no comment: inside of a string
"""
    return x, text, "# nor this"
'''


def stripped(code, language="python"):
    """Compress fenced code, and return it without the fence."""
    result = compress(f"```{language}\n{code}```\n", strip_comments=True, count=len).value
    return result.removeprefix(f"```{language}\n").removesuffix("```\n")


def test_comments_go_only_when_that_is_asked_for():
    """By default fenced code is left as it is."""
    text = f"```python\n{CODE}```\n"
    assert compress(text, count=len).value is text


def test_the_code_stays_what_it_was():
    """The syntax tree is the same, strings and comments for tools included."""
    result = stripped(CODE)
    assert ast.dump(ast.parse(result)) == ast.dump(ast.parse(CODE))
    assert "explain" not in result
    assert "noqa" in result
    assert "# no comment: inside of a string" in result
    assert result.startswith("# [... 3 comments (")


def test_stripping_again_changes_nothing():
    """The comment that says how many there were stays."""
    once = stripped(CODE)
    assert stripped(once) == once


@pytest.mark.parametrize(
    ("code", "language"),
    [
        (CODE, "text"),
        (CODE, ""),
        ("if (x: # unbalanced, and this comment is long enough to be worth it\n", "python"),
        ("x = 1  # short\n", "python"),
        ("'''never closed # and this is quite a long line that is no comment\n", "py"),
    ],
)
def test_what_is_no_python_is_left_alone(code, language):
    """Nothing is guessed: another language, broken code and small gains stay as they are."""
    assert stripped(code, language) == code


lines = st.sampled_from(
    [
        "x = 1",
        "if x:\n    y = 2  # why",
        "# a comment that is long enough to be worth taking out",
        "def f():\n    # only this comment stands here\n    pass",
        "s = '# no'",
        "",
        "\tbad indent",
        "z = (1,  # one\n     2)",
        "t = '''\n# in\n'''",
        "f'{x!r:>{10}} # y'",
        "\f",
        "x = \\\n  1",
    ]
)


@given(st.lists(lines, max_size=8).map(lambda parts: "".join(f"{part}\n" for part in parts)))
def test_no_code_changes_its_meaning(code):
    """Whatever stands in a fence parses to the same tree afterwards, or is untouched."""
    result = stripped(code)
    try:
        before = ast.dump(ast.parse(code))
    except SyntaxError:
        return
    assert ast.dump(ast.parse(result)) == before
