"""The figures of all operations."""

from __future__ import annotations

import json
import threading

import pytest

from agentperf.abc.telemetry import Recorder, Tap
from agentperf.errors import ConfigurationError
from agentperf.telemetry import Aggregates, OperationStats
from agentperf.usage import Usage


def members(contract: type) -> set[str]:
    """The public names that a contract asks for."""
    names = {*vars(contract), *contract.__annotations__}
    return {name for name in names if not name.startswith("_")}


def test_it_keeps_the_contracts_of_tap_and_recorder() -> None:
    """What policies write to is all there, and typed as the contracts say."""
    tap: Tap = Aggregates()
    recorder: Recorder = tap.recorder("demo.answer")
    assert members(Tap) <= set(dir(tap))
    assert members(Recorder) <= set(dir(recorder))
    assert recorder.operation == "demo.answer"


def test_an_operation_has_one_recorder_for_good():
    """Whoever asks gets the same one, also after a reset."""
    tap = Aggregates()
    recorder = tap.recorder("demo.answer")
    tap.reset()
    assert tap.recorder("demo.answer") is recorder
    assert tap.recorder("demo.other") is not recorder


def test_threads_that_meet_at_a_new_operation_share_its_recorder():
    """Only one recorder is ever handed out."""
    tap = Aggregates()
    barrier = threading.Barrier(8)
    found = []

    def ask() -> None:
        barrier.wait()
        found.append(tap.recorder("demo.answer"))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1


def test_a_snapshot_has_what_was_recorded():
    """An operation that was only announced is left out, but can be asked for."""
    tap = Aggregates()
    tap.recorder("demo.idle")
    tap.recorder("demo.answer").durations.append(1.0)
    snapshot = tap.snapshot()
    assert list(snapshot) == ["demo.answer"]
    assert snapshot["demo.answer"].calls == 1
    assert tap.stats("demo.answer") == snapshot["demo.answer"]
    assert tap.stats("demo.idle") == OperationStats("demo.idle")
    assert tap.stats("demo.unheard") == OperationStats("demo.unheard")


def test_a_snapshot_does_not_change_afterwards():
    """Later calls show up in later snapshots only."""
    tap = Aggregates()
    tap.recorder("demo.answer").durations.append(1.0)
    before = tap.snapshot()
    tap.recorder("demo.answer").durations.append(1.0)
    assert before["demo.answer"].calls == 1
    assert tap.snapshot()["demo.answer"].calls == 2


def test_total_usage_counts_tokens_once():
    """An agent that calls a model shows the model's tokens; the total has them once."""
    tap = Aggregates()
    tap.recorder("demo.model").used(Usage(100, 10, 0, 0.5), own=True)
    tap.recorder("demo.agent").used(Usage(100, 10, 0, 0.5), own=False)
    assert tap.snapshot()["demo.agent"].usage.total_tokens == 110
    assert tap.usage() == Usage(100, 10, 0, 0.5)


def test_reset_forgets_all_figures():
    """Recorders already handed out go on counting from nothing."""
    tap = Aggregates()
    recorder = tap.recorder("demo.answer")
    recorder.durations.append(1.0)
    tap.reset()
    assert tap.snapshot() == {}
    recorder.durations.append(1.0)
    assert tap.snapshot()["demo.answer"].calls == 1


def test_operations_are_bounded():
    """Beyond the bound calls are counted together, and a flag says so."""
    tap = Aggregates(max_operations=2)
    for name in ("a", "b"):
        tap.recorder(name).durations.append(1.0)
    assert not tap.overflowed
    for name in ("c", "d", "a"):
        tap.recorder(name).durations.append(1.0)
    assert tap.overflowed
    assert {name: stats.calls for name, stats in tap.snapshot().items()} == {
        "a": 2,
        "b": 1,
        "other": 2,
    }


def test_the_scale_reaches_the_histograms():
    """A finer scale gives finer quantiles."""
    tap = Aggregates(scale=8)
    tap.recorder("demo.answer").durations.append(1.0)
    assert tap.snapshot()["demo.answer"].latency.scale == 8


@pytest.mark.parametrize(
    ("options", "name"), [({"max_operations": 0}, "max_operations"), ({"scale": 9}, "scale")]
)
def test_bad_options_are_refused_at_once(options, name):
    """The error names the parameter and shows a good value."""
    with pytest.raises(ConfigurationError, match=rf"{name}=.*such as"):
        Aggregates(**options)


def test_it_goes_out_as_json():
    """All operations as plain values, and whether some were counted together."""
    tap = Aggregates()
    tap.recorder("demo.answer").durations.append(1.0)
    data = json.loads(json.dumps(tap.to_dict(), allow_nan=False))
    assert data["overflowed"] is False
    restored = OperationStats.from_dict(data["operations"]["demo.answer"])
    assert restored == tap.stats("demo.answer")
