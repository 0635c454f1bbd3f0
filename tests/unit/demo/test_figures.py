"""Figures, and the table that shows them."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from agentperf.demo.comparison import Comparison
from agentperf.demo.conversations import Message
from agentperf.demo.figures import Figures, mean, quantile
from agentperf.demo.isolation import Isolation
from agentperf.demo.runner import Reply, Run
from agentperf.demo.table import render

OLD = Figures(9.1, 9.0, 11.2, 12.3, 3.0, 224, 26_580, 6_345, 0.0206, 0.0, 1)
NEW = Figures(0.25, 0.1, 0.5, 0.6, 1.1, 120, 13_000, 3_100, 0.0101, 0.92, 0)
APART = Isolation(6, 4, 10, 1, 4, own_answers=True)
MESSAGE = Message("anna", "s", "Where does my sister live?", ("Ghent",))


def comparison(*, after_says: str = "In Ghent.", isolation: Isolation = APART) -> Comparison:
    """Return a comparison of one message."""
    before = Reply(MESSAGE, "She lives in GHENT.", 9.1, 3.0)
    after = Reply(MESSAGE, after_says, 0.25, 1.1)
    return Comparison(Run([before], OLD), Run([after], NEW), isolation)


def plain(text: str) -> str:
    """Return a text without colours."""
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def test_quantiles_are_values_that_occurred() -> None:
    """Nearest rank: half, 95 of 100, all."""
    values = [float(number) for number in range(100, 0, -1)]
    assert [quantile(values, share) for share in (0, 0.5, 0.95, 1)] == [1, 50, 95, 100]
    assert quantile([7.0], 0.95) == mean([7.0]) == 7
    assert quantile([], 0.5) == mean([]) == 0


def test_json_has_the_promised_keys() -> None:
    """Programs read these keys; what is not there yet says so."""
    data = comparison().as_json()
    assert list(data) == ["before", "after", "faults"]
    keys = (
        "mean_s p50_s p95_s max_s ttft_s model_calls input_tokens output_tokens cost_usd "
        "cache_hit_rate failed"
    )
    assert all(
        isinstance(run := data[name], dict) and list(run) == keys.split()
        for name in ("before", "after")
    )
    assert data["faults"] == {"before": "not yet", "after": "not yet"}


def test_the_table_fits_a_terminal() -> None:
    """No line is longer than 80 columns."""
    assert max(map(len, plain(render(comparison(), scale=0.05)).splitlines())) <= 80


@pytest.mark.parametrize(
    ("label", "cells"),
    [
        ("response time, mean", "9.10 s 250 ms 36.4x faster"),
        ("model calls", "224 120 46% less"),
        ("input tokens", "26,580 13,000 51% less"),
        ("cost", "$0.0206 $0.0101 51% less"),
        ("cache hits, repeated messages", "0% 92% +92 points"),
        ("failed answers", "1 0 1 fewer"),
        ("with a faulty model server", "not yet not yet"),
    ],
)
def test_a_row_shows_before_after_and_gain(label: str, cells: str) -> None:
    """Each figure stands in its row, with what was gained."""
    lines = plain(render(comparison(), scale=0.05)).splitlines()
    row = next(line for line in lines if line.startswith(label))
    assert row.removeprefix(label).split() == cells.split()


def test_no_gain_is_shown_where_there_is_none() -> None:
    """Equal figures, and figures of zero, make no empty boast and no error."""
    nothing = Figures(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    same = replace(comparison(), before=Run([], nothing), after=Run([], nothing))
    text = plain(render(same, scale=1))
    assert "faster" not in text
    assert "less" not in text


def test_agreement_is_said() -> None:
    """When both answers hold the facts there is no problem."""
    assert comparison().problems() == []
    assert "before and after agree" in render(comparison(), scale=0.05)


def test_a_missing_fact_is_a_problem_that_is_named() -> None:
    """An answer that lost a fact is shown with its question."""
    wrong = comparison(after_says="I don't know.")
    assert wrong.problems() == ["'Where does my sister live?': the answer after lacks 'Ghent'"]
    assert wrong.problems()[0] in render(wrong, scale=0.05)


def test_a_failed_answer_is_no_disagreement() -> None:
    """It is counted as failed, once."""
    failed = comparison()
    failed.after.replies[0] = replace(failed.after.replies[0], text=None)
    assert failed.disagreements() == []


@pytest.mark.parametrize(
    "shared",
    [
        replace(APART, together=9),
        replace(APART, private_again=1),
        replace(APART, own_answers=False),
    ],
)
def test_anything_shared_between_profiles_is_a_problem(shared: Isolation) -> None:
    """A joined flight, an entry left behind or a foreign fact each count."""
    result = comparison(isolation=shared)
    assert result.problems() == ["profiles shared what is private"]
    assert "should not be" in render(result, scale=0.05)
