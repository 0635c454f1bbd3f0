"""Figures, comparisons and tables."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf import ConfigurationError, OperationStats, Usage
from agentperf.telemetry import Histogram
from agentperf.telemetry.report.comparing import (
    Block,
    Limit,
    Row,
    compared,
    exceeded,
    unchecked,
)
from agentperf.telemetry.report.figures import COMPARED
from agentperf.telemetry.report.measures import (
    COUNT,
    DOLLARS,
    ERROR_RATE,
    FAILURES,
    HIT_RATE,
    SECONDS,
)
from agentperf.telemetry.report.summary import CacheCounts, Operation, Summary
from agentperf.telemetry.report.tables import SORTS, listing, shortened, side_by_side
from agentperf.telemetry.report.unknown import Unknown


def operation(name, *seconds, failed=0, usage=None, cache=None, first=()):
    """Make the figures of an operation."""
    usage = usage or Usage()
    stats = OperationStats(
        name,
        latency=Histogram().with_values(list(seconds)),
        failed_latency=Histogram().with_values([1.0] * failed),
        first_item=Histogram().with_values(list(first)),
        errors={"ValueError": failed} if failed else {},
        own_usage=usage,
        usage=usage,
    )
    return Operation(stats, cache)


BEFORE = Summary(
    (
        operation("app.answer", 2.0, 4.0, usage=Usage(1000, 200, 0, 0.02)),
        operation("app.search", 0.1, failed=1, cache=CacheCounts(0, 4)),
        operation("gone", 1.0),
    )
)
AFTER = Summary(
    (
        operation("app.answer", 1.0, usage=Usage(400, 300, 0, 0.01)),
        operation("app.search", 0.2, 0.2, cache=CacheCounts(3, 1)),
        operation("new", 1.0),
    )
)


def plain(lines):
    """Return lines without colours."""
    return [re.sub(r"\x1b\[[\d;]*m", "", line) for line in lines]


@pytest.mark.parametrize(
    ("measure", "before", "after", "cells", "better"),
    [
        (SECONDS, 9.1, 0.25, ("9.10 s", "250 ms", "36.4x faster"), True),
        (SECONDS, 0.002, 0.00004, ("2.0 ms", "40 us", "50.0x faster"), True),
        (SECONDS, 1.0, 2345.0, ("1.00 s", "2,345 s", "1000x+ slower"), False),
        (SECONDS, 0.0, 1.0, ("0 ms", "1.00 s", ""), False),
        (COUNT, 224, 120, ("224", "120", "46% less"), True),
        (COUNT, 100, 1250, ("100", "1,250", "12.5x more"), False),
        (COUNT, 0, 5, ("0", "5", ""), False),
        (DOLLARS, 0.0206, 0.0101, ("$0.0206", "$0.0101", "51% less"), True),
        (FAILURES, 3, 0, ("3", "0", "3 fewer"), True),
        (FAILURES, 0, 1, ("0", "1", "1 more"), False),
        (HIT_RATE, 0.0, 0.92, ("0%", "92%", "+92 points"), True),
        (HIT_RATE, 0.5, 0.4, ("50%", "40%", "-10 points"), False),
        (ERROR_RATE, 0.5, 0.25, ("50.0%", "25.0%", "-25 points"), True),
        (SECONDS, None, 1.0, ("-", "1.00 s", ""), False),
        (COUNT, 7, 7, ("7", "7", ""), False),
        (COUNT, 1000, 999, ("1,000", "999", ""), False),
        (SECONDS, 1.0, 0.99, ("1.00 s", "990 ms", ""), False),
        (HIT_RATE, 0.5, 0.501, ("50%", "50%", ""), False),
    ],
)
def test_a_row_has_before_after_and_gain(measure, before, after, cells, better):
    """Each kind of figure in its own words, and green only where it got better."""
    row = Row("label", measure, before, after)
    assert (measure.shown(before), measure.shown(after), row.gain) == cells
    assert row.better is better
    _, _, line = side_by_side([Block("title", (row,))])
    assert plain([line])[0].split()[1:] == " ".join(cells).split()
    assert ("\x1b[32m" in line) is better


numbers = st.floats(0, 1e9)


@given(st.sampled_from([SECONDS, COUNT, DOLLARS, FAILURES, HIT_RATE]), numbers, numbers)
def test_better_and_worse_exclude_each_other(measure, before, after):
    """One of them at most, and neither where nothing changed."""
    worse = measure.worsening(before, after)
    assert not (measure.better(before, after) and worse > 0)
    assert (worse == 0 and not measure.better(before, after)) or before != after
    assert isinstance(measure.gain(before, after), str)


def test_operations_are_compared_one_by_one():
    """Totals first; what is in one run only is shown too."""
    blocks = compared(BEFORE, AFTER)
    titles = [block.title for block in blocks]
    assert titles == ["all operations", "app.answer", "app.search", "gone", "new"]
    totals = {row.key: (row.before, row.after) for row in blocks[0].rows}
    assert totals == {
        "input_tokens": (1000, 400),
        "output_tokens": (200, 300),
        "cost": (0.02, 0.01),
    }
    search = {row.key: (row.before, row.after) for row in blocks[2].rows}
    assert search["errors"] == (1, 0)
    assert search["error_rate"] == (0.5, 0.0)
    assert search["hit_rate"] == (0.0, 0.75)
    assert search["calls"] == (2, 2)
    assert "cost" not in search
    assert "first_item" not in search
    assert {row.after for row in blocks[3].rows} == {None}


@pytest.mark.parametrize("width", [80, 100])
def test_tables_fit(width):
    """However long the names are."""
    long = "a.package." * 12 + "function"
    usage = Usage(12_345_678, 9_876_543, 0, 1234.5678)
    summary = Summary(
        (operation(long, 1234.5, 0.001, failed=3, usage=usage, cache=CacheCounts(1, 2), first=[1]),)
    )
    compare = side_by_side(compared(summary, BEFORE), width=width)
    table = listing(summary, width=width)
    for line in plain([*compare, *table]):
        assert len(line) <= width
    assert any(line.endswith("function") or "function  " in line for line in plain(table))


def test_a_listing_has_operations_and_totals():
    """Times, then what was spent; columns that nobody fills are left out."""
    lines = plain(listing(BEFORE))
    assert lines == [
        "operation   calls  failed     p50     p95     p99",
        "-------------------------------------------------",
        "app.answer      2       0  2.00 s  4.00 s  4.00 s",
        "app.search      2       1  100 ms  100 ms  100 ms",
        "gone            1       0  1.00 s  1.00 s  1.00 s",
        "",
        "operation   input  output     cost  hits",
        "----------------------------------------",
        "app.answer  1,000     200  $0.0200     -",
        "app.search      0       0       $0    0%",
        "----------------------------------------",
        "all         1,000     200  $0.0200",
    ]


def test_a_listing_of_nothing_is_empty():
    """No head without a row."""
    assert listing(Summary()) == []


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_is_one(sort):
    """The largest first, equal ones by name."""
    order = [line.split()[0] for line in plain(listing(BEFORE, sort=sort))[2:5]]
    assert sorted(order) == ["app.answer", "app.search", "gone"]
    if sort in {"p95", "time", "cost", "name"}:
        assert order[0] == "app.answer"
    if sort == "errors":
        assert order[0] == "app.search"


def test_json_has_every_figure():
    """Unrounded, with None where there is none."""
    data = BEFORE.to_dict()
    assert data["totals"] == {
        "tokens": 1200,
        "input_tokens": 1000,
        "output_tokens": 200,
        "cached_tokens": 0,
        "cost": 0.02,
        "unknown": {"spending": 0, "tokens": 0, "streams": 0, "cost": 0},
    }
    search = data["operations"]["app.search"]
    assert (search["calls"], search["errors"], search["error_names"]) == (2, 1, {"ValueError": 1})
    assert search["first_item"] is None
    assert search["hit_rate"] == 0.0
    assert search["cache"]["misses"] == 4
    assert data["operations"]["gone"]["cache"] is None


@pytest.mark.parametrize(
    ("limits", "found"),
    [
        ([], []),
        (["p95=10%"], ["app.search"]),
        (["p95=99%"], ["app.search"]),
        (["p95=150%"], []),
        (["cost=0%"], []),
        (["output_tokens=10%"], ["all operations", "app.answer"]),
        (["hit_rate=0%", "errors=0%", "error_rate=0%"], []),
        (["calls=0%"], []),
    ],
)
def test_what_is_beyond_a_limit_is_named(limits, found):
    """Where both runs have the operation; improvements are never a problem."""
    problems = exceeded(BEFORE, AFTER, [Limit.parse(text) for text in limits])
    assert [problem.split(":")[0] for problem in problems] == found


def test_shares_are_limited_in_points():
    """A hit rate that falls from 75 to 0 % is 75 points worse; beyond nothing there is no share."""
    assert exceeded(AFTER, BEFORE, [Limit.parse("hit_rate=74%")])
    assert not exceeded(AFTER, BEFORE, [Limit.parse("hit_rate=75%")])
    assert exceeded(AFTER, BEFORE, [Limit.parse("errors=1000000%")])
    assert math.isinf(Row("x", FAILURES, 0, 1).worsening)
    assert Row("x", FAILURES, 0, 1).to_dict()["gain"] is None


def test_names_are_the_same_everywhere():
    """What can be limited and sorted by stands under that very name in JSON."""
    figures = BEFORE.to_dict()["operations"]["app.search"]
    assert {figure.key for figure in COMPARED} <= figures.keys()
    assert SORTS.keys() - {"name"} <= figures.keys()
    rows = [row.key for row in compared(BEFORE, AFTER)[2].rows]
    assert set(rows) <= {figure.key for figure in COMPARED}


def spending(name, *, calls=10, usage=None, unknown=None, failed=0):
    """Make the figures of a model's calls."""
    figures = operation(name, *[1.0] * (calls - failed), failed=failed, usage=usage)
    return Summary((replace(figures, unknown=unknown or Unknown(calls)),))


PRICED = spending("chat", usage=Usage(100, 100, 0, 0.5))


@pytest.mark.parametrize(
    ("after", "limit", "says"),
    [
        (spending("chat", usage=Usage(100, 100), unknown=Unknown(10, cost=10)), "cost", "unknown"),
        (spending("chat", unknown=Unknown(10, tokens=10)), "cost", "unknown"),
        (spending("chat", unknown=Unknown(10, tokens=10)), "input_tokens", "unheard"),
        (spending("chat", unknown=Unknown(10, tokens=10)), "output_tokens", "unheard"),
        (
            spending("chat", usage=Usage(100, 100, 0, 0.1), unknown=Unknown(10, cost=8)),
            "cost",
            "partly",
        ),
        (spending("chat", usage=Usage(100, 100, 0, 0.5), unknown=Unknown(100, 1)), "cost", ""),
        (spending("chat", calls=0), "cost", ""),
        (spending("chat", usage=Usage(9, 9, 0, 0.4), unknown=Unknown(2, 0)), "cost", ""),
        (spending("chat", failed=10), "p50", "unknown"),
        (spending("chat", failed=10), "p99", "unknown"),
    ],
)
def test_a_figure_that_is_no_longer_known_is_beyond_any_limit(after, limit, says):
    """It can't be said to be no worse; a few calls that are silent are within the limit."""
    problems = exceeded(PRICED, after, [Limit.parse(f"{limit}=5%")])
    words = {
        "unknown": "is not known any more",
        "unheard": "is not known of 100% more of the calls now",
        "partly": "is not known of 80% more of the calls now",
    }
    assert bool(problems) is bool(says)
    assert all(words[says] in problem for problem in problems)


def test_a_limit_that_nothing_can_be_held_against_is_told():
    """Where the first run doesn't know the figure, or no operation is in both."""
    unpriced = spending("chat", usage=Usage(100, 100), unknown=Unknown(10, cost=10))
    limits = [Limit.parse("cost=5%")]
    assert exceeded(unpriced, PRICED, limits) == []
    assert unchecked(unpriced, PRICED, limits) == [
        "all operations: cost is less known of the first run; cost=5% was not checked",
        "chat: cost is less known of the first run; cost=5% was not checked",
    ]
    assert unchecked(PRICED, PRICED, limits) == []
    partly = spending("chat", usage=Usage(10, 10, 0, 0.05), unknown=Unknown(10, tokens=9))
    assert exceeded(partly, PRICED, limits) == []
    assert unchecked(partly, PRICED, limits) == unchecked(unpriced, PRICED, limits)
    [row] = [row for row in compared(partly, PRICED)[0].rows if row.key == "cost"]
    assert (row.gain, row.better, row.to_dict()["gain"]) == ("not all known", False, None)
    assert unchecked(PRICED, Summary(), [Limit.parse("p50=5%")]) == [
        "no operation of both runs has p50; p50=5% was not checked"
    ]


def test_fewer_calls_of_others_lose_nothing():
    """Where the silent calls are as many as before, what is known can be compared."""
    before = spending("chat", usage=Usage(100, 100, 0, 0.5), unknown=Unknown(10, 5))
    after = spending("chat", usage=Usage(20, 20, 0, 0.1), unknown=Unknown(6, 5))
    [row] = [row for row in compared(before, after)[0].rows if row.key == "cost"]
    assert (row.gain, row.lost) == ("80% less", 0.0)
    assert exceeded(before, after, [Limit.parse("cost=5%")]) == []


def test_nothing_spent_is_a_cost_of_nothing():
    """All answers from a cache cost no money, which is known and better."""
    [_, block] = compared(PRICED, spending("chat", unknown=Unknown()))
    [cost] = [row for row in block.rows if row.key == "cost"]
    assert (cost.after, cost.gain) == (0.0, "100% less")


def test_what_sums_do_not_hold_stands_under_the_table():
    """With what helps, within the width."""
    usage = Usage(1, 51, 0, 0.00004)
    summary = Summary(
        (
            *spending("chat gpt-4o-mini", usage=usage, unknown=Unknown(10, 9, 9)).operations,
            *spending("chat my-own", calls=1, usage=usage, unknown=Unknown(1, cost=1)).operations,
        )
    )
    lines = plain(listing(summary, width=80))
    assert max(map(len, lines)) <= 80
    told = " ".join(lines)
    assert "9 of 10 calls of chat gpt-4o-mini said nothing of their tokens; streams do " in told
    assert 'stream_options={"include_usage": True}' in told
    assert "no price is known for 1 of 1 calls of chat my-own" in told
    assert "$0.000040" in told
    assert summary.to_dict()["totals"]["unknown"] == {
        "spending": 11,
        "tokens": 9,
        "streams": 9,
        "cost": 1,
    }


def test_a_block_without_rows_is_left_out():
    """Where nothing was spent there are no totals to show."""
    quiet = Summary((operation("app.search", 1.0),))
    lines = plain(side_by_side(compared(quiet, quiet)))
    assert lines[0].startswith("app.search ")
    assert not any("all operations" in line for line in lines)


@pytest.mark.parametrize("text", ["error_rate=10", "calls=0", "cost=5"])
def test_a_limit_without_its_sign_is_told_so(text):
    """That it is the % which is missing."""
    with pytest.raises(ConfigurationError, match=f"the % is missing, --fail-on {text}%"):
        Limit.parse(text)


@pytest.mark.parametrize("text", ["", "p95", "p95=", "p95=10", "speed=10%", "p95=-1%", "p95=x%"])
def test_a_malformed_limit_is_refused(text):
    """With an example."""
    with pytest.raises(ConfigurationError, match="--fail-on p95=10%"):
        Limit.parse(text)


def test_a_name_is_cut_at_its_front():
    """Its end says most."""
    assert shortened("agent.answer", 12) == "agent.answer"
    assert shortened("package.agent.answer", 12) == "...nt.answer"
