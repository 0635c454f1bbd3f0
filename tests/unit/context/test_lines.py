"""Lines that say the same again."""

from __future__ import annotations

from agentperf.context import compress
from agentperf.context.counting import Tokens
from agentperf.context.keeping import Keeper
from agentperf.context.lines import fold_alike, fold_equal
from agentperf.context.marks import find_marks
from agentperf.context.pieces import join, split

ACCESS = [f"2026-01-01 10:00:{n:02} INFO GET /items/{n * 7} 200 in {n} ms\n" for n in range(50)]


def folded_equal(text, keep=None):
    """Fold equal lines."""
    return join(fold_equal(split(text), Tokens(len), Keeper(keep)))


def folded_alike(text, keep=None, query="", first=1):
    """Fold lines of one shape."""
    return join(fold_alike(split(text), Tokens(len), Keeper(keep), query, first))


def test_equal_lines_are_counted():
    """The first one stays, a mark says how many more there were."""
    line = "connection to the server was lost, trying again\n"
    assert folded_equal(f"start\n{line * 20}end\n") == (
        f"start\n{line}"
        f"[... 19 lines ({19 * len(line)} tokens) equal to the one above left out ...]\nend\n"
    )


def test_equal_lines_that_are_shorter_than_a_mark_stay():
    """A mark must be worth its tokens."""
    assert folded_equal("a\na\na\n") == "a\na\na\n"


def test_blank_lines_are_not_counted():
    """Empty lines are layout."""
    text = "a\n" + "\n" * 500 + "b\n"
    assert folded_equal(text) == text


def test_the_last_line_needs_no_newline():
    """A text that ends without a newline still does."""
    line = "the very same line of text, again and again and again"
    assert folded_equal("\n".join([line] * 5)).endswith("left out ...]")


def test_lines_of_a_log_are_folded_by_shape():
    """The first and the last line of a shape stay."""
    text = folded_alike("".join(ACCESS))
    assert text.startswith(ACCESS[0])
    assert text.endswith(ACCESS[-1])
    assert "48 lines" in text
    assert text.count("\n") == 3


def test_as_many_lines_stay_as_asked_for():
    """The first ones of each shape can be kept."""
    assert folded_alike("".join(ACCESS), first=16).startswith("".join(ACCESS[:16]))


def test_trouble_is_never_folded():
    """Lines that speak of errors, failures and warnings all stay."""
    trouble = [f"2026-01-01 10:00:{n:02} ERROR disk {n} failed\n" for n in range(0, 50, 5)]
    lines = [*ACCESS, *trouble]
    result = folded_alike("".join(sorted(lines)))
    assert all(line in result for line in trouble)


def test_a_line_with_a_number_of_the_query_stays():
    """What is asked for is not folded."""
    assert ACCESS[20] in folded_alike("".join(ACCESS), query="What happened to item 140?")


def test_lines_that_must_stay_are_not_folded():
    """`keep=` holds in logs too."""
    assert ACCESS[33] in folded_alike("".join(ACCESS), keep="/items/231 ")
    line = "the same line of text which the caller wants kept\n"
    assert folded_equal(line * 9, keep="caller wants") == line * 9


def test_data_is_no_log():
    """Rows of numbers and prose are left alone."""
    table = "".join(f"{n},{n * 2},{n * 3}\n" for n in range(100))
    prose = "".join(f"Chapter {n} begins.\n" for n in range(3)) + "It was a dark night.\n" * 2
    code = "".join(f"value_{n} = {n}\n" for n in range(100))
    for text in (table, prose, code):
        assert folded_alike(text) == text


def test_folding_stops_when_the_target_is_reached():
    """No more lines go than must."""
    text = "".join(ACCESS)
    budget = len(text) * 3 // 4
    result = compress(text, max_tokens=budget, count=len)
    assert result.report.fits
    assert [stage.name for stage in result.report.stages] == ["log_lines"]
    assert sum(line in result.value for line in ACCESS) > 10
    assert len(list(find_marks(result.value))) == 1
