"""Pace, price and faults of the fake model."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf.errors import ConfigurationError
from agentperf.testing.fake_llm import Fault, Faults, Pace
from agentperf.testing.fake_llm.chance import fingerprint, luck


def test_by_default_no_time_passes() -> None:
    """A server without a pace answers at once."""
    assert Pace().first_token(0.9) == Pace().per_token(0.9) == Pace().whole_embedding(0.9) == 0


def test_scale_and_jitter_multiply_all_times() -> None:
    """Jitter moves a request's times by its share at most, scale multiplies them."""
    pace = Pace(ttft="500ms", tokens_per_second=40, embedding=0.2, jitter=0.5, scale=0.1)
    assert pace.first_token(0.5) == pytest.approx(0.05)
    assert pace.first_token(0.0) == pytest.approx(0.025)
    assert pace.first_token(1.0) == pytest.approx(0.075)
    assert pace.per_token(0.5) == pytest.approx(0.1 / 40)
    assert pace.whole_embedding(0.5) == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"ttft": "soon"}, "ttft"),
        ({"ttft": -1}, "ttft"),
        ({"embedding": "1 fortnight"}, "embedding"),
        ({"tokens_per_second": 0}, "tokens_per_second"),
        ({"tokens_per_second": float("nan")}, "tokens_per_second"),
        ({"jitter": 1}, "jitter"),
        ({"jitter": -0.1}, "jitter"),
        ({"scale": -1}, "scale"),
        ({"scale": float("inf")}, "scale"),
    ],
)
def test_a_bad_pace_is_refused(options: dict[str, Any], named: str) -> None:
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=named):
        Pace(**options)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"rate": 1.5}, "rate"),
        ({"rate": 0.5, "kinds": ()}, "kinds"),
        ({"retry_after": "x"}, "retry"),
        ({"script": ["cut"]}, "script"),
        ({"script": Fault.CUT}, "script"),
    ],
)
def test_bad_faults_are_refused(options: dict[str, Any], named: str) -> None:
    """The error names the parameter."""
    with pytest.raises(ConfigurationError, match=named):
        Faults(**options)


def test_by_default_nothing_goes_wrong() -> None:
    """Faults are off until they are asked for."""
    assert Faults().pick(0.0) is None


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_a_request_fails_exactly_when_its_luck_is_below_the_rate(
    chance: float, rate: float
) -> None:
    """Any luck and any rate give a fault or none, never an error."""
    assert (Faults(rate=rate).pick(chance) is not None) == (chance < rate)


def test_the_rate_is_met_and_kinds_are_equally_likely() -> None:
    """Over many requests a fifth fails, a third of these in each way."""
    faults = Faults(rate=0.2)
    drawn = Counter(faults.pick(luck("seed", number)) for number in range(6_000))
    assert set(drawn) == {None, *faults.kinds}
    assert all(abs(drawn[kind] - 400) < 80 for kind in faults.kinds)


def test_luck_is_a_number_below_one_that_only_its_parts_decide() -> None:
    """The same parts give the same luck in every process, others give other luck."""
    assert luck(1, "a") == luck(1, "a") != luck(1, "b")
    assert fingerprint(0, "a") == "cfdc728045522f4722fcf8b5"
    assert all(0 <= luck(number) < 1 for number in range(100))
