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
FAULTY_OLD = Figures(12.5, 11.0, 20.2, 21.3, 3.5, 261, 26_000, 6_300, 0.0213, 0.0, 4)
FAULTY_NEW = Figures(0.5, 0.2, 1.0, 1.2, 1.1, 167, 15_000, 5_300, 0.0148, 0.92, 0)
NEW = Figures(0.25, 0.1, 0.5, 0.6, 1.1, 120, 13_000, 3_100, 0.0101, 0.92, 0)
APART = Isolation(6, 4, 10, 1, 4, own_answers=True)
MESSAGE = Message("anna", "s", "Where does my sister live?", ("Ghent",))


def comparison(*, after_says: str = "In Ghent.", isolation: Isolation = APART) -> Comparison:
    """Return a comparison of one message."""
    before = Reply(MESSAGE, "She lives in GHENT.", 9.1, 3.0)
    after = Reply(MESSAGE, after_says, 0.25, 1.1)
    return Comparison(
        Run([before], OLD),
        Run([after], NEW),
        Run([replace(before, text=None, error=ConnectionError("cut"))], FAULTY_OLD),
        Run([replace(after, text="In Ghent.")], FAULTY_NEW),
        isolation,
    )


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
    """Programs read these keys, the same with faults and without."""
    data = comparison().as_json()
    assert list(data) == ["before", "after", "faults"]
    keys = (
        "mean_s p50_s p95_s max_s ttft_s model_calls input_tokens output_tokens cost_usd "
        "cache_hit_rate failed"
    )
    with_faults = data["faults"]
    assert isinstance(with_faults, dict)
    assert list(with_faults) == ["before", "after"]
    for run in (data["before"], data["after"], *with_faults.values()):
        assert isinstance(run, dict)
        assert list(run) == keys.split()
    assert with_faults["before"]["failed"] == 4


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
    ],
)
def test_a_row_shows_before_after_and_gain(label: str, cells: str) -> None:
    """Each figure stands in its row, with what was gained."""
    lines = plain(render(comparison(), scale=0.05)).splitlines()
    row = next(line for line in lines if line.startswith(label))
    assert row.removeprefix(label).split() == cells.split()


def test_faults_have_a_block_of_their_own() -> None:
    """Below the plain figures stand those of the server that fails now and then."""
    text = plain(render(comparison(), scale=0.05))
    _, _, block = text.partition("20% of the requests go wrong")
    assert "before" in block.splitlines()[0]
    failed = next(line for line in block.splitlines() if line.startswith("failed answers"))
    assert failed.split()[2:] == ["4", "0", "4", "fewer"]


def test_no_gain_is_shown_where_there_is_none() -> None:
    """Equal figures, and figures of zero, make no empty boast and no error."""
    nothing = Figures(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    empty = Run([], nothing)
    same = Comparison(empty, empty, empty, empty, APART)
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
    failed.before.replies[0] = replace(failed.before.replies[0], text=None)
    assert failed.disagreements() == failed.problems() == []


def test_the_second_version_must_not_fail() -> None:
    """A message that it leaves without an answer is a problem, with faults too."""
    failed = comparison()
    reply = replace(failed.faulty_after.replies[0], text=None, error=OSError("lost"))
    failed.faulty_after.replies[0] = reply
    assert failed.problems() == ["'Where does my sister live?': no answer (OSError('lost'))"]


def test_what_a_fault_kept_from_being_remembered_is_no_disagreement() -> None:
    """With faults only the second version owes the facts."""
    result = comparison()
    forgot = replace(result.before.replies[0], text="I don't know.")
    result.faulty_before.replies[0] = forgot
    assert result.problems() == []
    result.faulty_after.replies[0] = forgot
    assert len(result.problems()) == 1


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
