"""The figures of one operation, as a value."""

from __future__ import annotations

import json
import math
import pickle

import pytest

from agentperf._base.endings import Ending
from agentperf.telemetry.recorder import OperationRecorder
from agentperf.telemetry.stats import OperationStats, total_usage
from agentperf.usage import Usage


@pytest.fixture
def busy() -> OperationStats:
    """An operation of which everything was recorded."""
    recorder = OperationRecorder("demo.answer")
    recorder.durations.extend([1.0] * 6)
    recorder.failed(0.5, TimeoutError())
    recorder.failed(0.5, TimeoutError())
    recorder.failed(1.0, KeyError("x"))
    recorder.dropped(2.0, Ending.CANCELLED)
    recorder.dropped(2.0, Ending.CLOSED)
    recorder.dropped(2.0, Ending.ABANDONED)
    recorder.first_item(0.25)
    recorder.gaps.extend([0.125, 0.125])
    recorder.used(Usage(1000, 200, 100, 0.5), own=True)
    recorder.used(Usage(10, 20, 0, None), own=False)
    recorder.memory(4096)
    return recorder.snapshot()


def test_every_call_is_counted_under_its_ending(busy):
    """Calls are completed, failed and dropped ones together."""
    assert (busy.calls, busy.completed, busy.failed, busy.dropped) == (12, 6, 3, 3)
    assert (busy.cancelled, busy.closed, busy.abandoned) == (1, 1, 1)
    assert busy.errors == {"TimeoutError": 2, "KeyError": 1}


def test_the_error_rate_leaves_dropped_calls_out(busy):
    """A cancelled call is neither success nor failure."""
    assert busy.error_rate == pytest.approx(3 / 9)


def test_durations_are_kept_apart_by_ending(busy):
    """The short names speak of completed calls; the time spent counts all."""
    assert (busy.mean, busy.min, busy.max) == (1.0, 1.0, 1.0)
    assert (busy.p50, busy.p95, busy.p99) == (1.0, 1.0, 1.0)
    assert (busy.failed_latency.max, busy.dropped_latency.max) == (1.0, 2.0)
    assert busy.total_seconds == 6.0 + 2.0 + 6.0


def test_streams_have_a_first_item_and_gaps(busy):
    """Time to the first item and gaps have short names of their own."""
    assert (busy.ttft_p50, busy.ttft_p95) == (0.25, 0.25)
    assert (busy.gap_p50, busy.gap_p95) == (0.125, 0.125)


def test_no_call_gives_no_figure():
    """Durations over no call are nan, and no call failed."""
    stats = OperationStats("demo.idle")
    assert stats.empty
    assert (stats.calls, stats.error_rate, stats.total_seconds) == (0, 0.0, 0.0)
    for name in ("mean", "min", "max", "p50", "p95", "p99", "ttft_p50", "gap_p95"):
        assert math.isnan(getattr(stats, name))


def test_a_call_whose_duration_is_no_number_is_still_counted():
    """A broken clock loses a duration, not a call."""
    recorder = OperationRecorder("demo.answer")
    recorder.durations.append(math.nan)
    recorder.failed(math.inf, ValueError())
    stats = recorder.snapshot()
    assert (stats.completed, stats.failed, stats.total_seconds) == (1, 1, 0.0)


def test_merging_adds_every_figure(busy):
    """Two of the same are twice of everything, under the first one's name."""
    twice = busy.merge(busy)
    assert twice.operation == "demo.answer"
    assert (twice.calls, twice.cancelled, twice.closed, twice.abandoned) == (24, 2, 2, 2)
    assert twice.errors == {"TimeoutError": 4, "KeyError": 2}
    assert (twice.first_item.count, twice.gaps.count, twice.memory.count) == (2, 4, 2)
    assert twice.own_usage == Usage(2000, 400, 200, 1.0)
    assert twice.usage == Usage(2020, 440, 200, 1.0)
    assert twice.total_seconds == 2 * busy.total_seconds


def test_totals_add_up_where_tokens_were_spent(busy):
    """An outer operation's inclusive figures don't count the inner one's tokens again."""
    outer = OperationStats("demo.agent", usage=Usage(1000, 200, 100, 0.5))
    assert total_usage([outer, busy]) == Usage(1000, 200, 100, 0.5)
    assert total_usage([]) == Usage()


def test_it_survives_json_and_pickle(busy):
    """What goes out as plain values comes back equal."""
    text = json.dumps(busy.to_dict(), allow_nan=False)
    assert OperationStats.from_dict(json.loads(text)) == busy
    assert pickle.loads(pickle.dumps(busy)) == busy  # noqa: S301 - our own bytes


def test_the_plain_values_carry_the_derived_figures(busy):
    """A reader of the JSON needs no histogram; a figure over no call is null."""
    assert busy.to_dict()["summary"]["p95"] == 1.0
    assert busy.to_dict()["summary"]["calls"] == 12
    summary = OperationStats("demo.idle").to_dict()["summary"]
    assert (summary["calls"], summary["p95"]) == (0, None)


def test_it_tells_its_figures_in_a_line(busy):
    """What happened is told; errors come most frequent first."""
    assert str(busy) == (
        "demo.answer: 12 calls, 33.3% failed (TimeoutError x2 KeyError x1), 3 dropped, "
        "mean 1s, p50 1s, p95 1s, p99 1s, first item p50 250ms, "
        "1,010 tokens in, 220 out, $0.5000"
    )
    assert repr(busy) == f"<OperationStats {busy}>"


def test_what_never_happened_is_left_out_of_the_line():
    """An idle operation has little to tell."""
    assert str(OperationStats("demo.idle")) == "demo.idle: 0 calls"
