"""The recorder: exact whoever writes, whenever it folds."""

from __future__ import annotations

import sys
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentperf._base.endings import Ending
from agentperf.abc.telemetry import FOLD_AT
from agentperf.telemetry.recorder import MAX_ERROR_NAMES, OTHER, OperationRecorder
from agentperf.usage import Usage

ERRORS = [ValueError, TimeoutError, KeyError]
DROPS = [Ending.CANCELLED, Ending.CLOSED, Ending.ABANDONED]

# Multiples of 1/1024 add up without rounding, so that stats can be compared as a whole.
seconds = st.integers(0, 2**20).map(lambda number: number / 1024)
usages = st.builds(
    Usage, st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.none() | seconds
)
notes = st.lists(
    st.one_of(
        st.tuples(st.just("completed"), seconds),
        st.tuples(st.just("gap"), seconds),
        st.tuples(st.just("failed"), seconds, st.sampled_from(ERRORS)),
        st.tuples(st.just("dropped"), seconds, st.sampled_from(DROPS)),
        st.tuples(st.just("first_item"), seconds),
        st.tuples(st.just("used"), usages, st.booleans()),
        st.tuples(st.just("memory"), st.integers(-(2**40), 2**40)),
    )
)


def record(recorder: OperationRecorder, note: tuple) -> None:
    """Record one note the way policies do."""
    match note:
        case ("completed", value):
            recorder.durations.append(value)
        case ("gap", value):
            recorder.gaps.append(value)
        case ("failed", value, kind):
            recorder.failed(value, kind())
        case ("dropped", value, ending):
            recorder.dropped(value, ending)
        case ("first_item", value):
            recorder.first_item(value)
        case ("used", usage, own):
            recorder.used(usage, own=own)
        case ("memory", delta):
            recorder.memory(delta)


def recorded(*batches: list[tuple]) -> OperationRecorder:
    """A recorder that folded after each batch."""
    recorder = OperationRecorder("demo.answer")
    for batch in batches:
        for note in batch:
            record(recorder, note)
        recorder.fold()
    return recorder


def in_threads(*works) -> None:
    """Run every work in a thread of its own, switching between them as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)


@given(notes, notes)
def test_when_it_folds_makes_no_difference(one, two):
    """Everything folded at once or in parts gives the same figures."""
    assert recorded(one, two).snapshot() == recorded(one + two).snapshot()


@given(notes, notes, notes)
def test_merged_stats_equal_those_of_one_recorder(one, two, three):
    """Merging is associative and loses nothing."""
    a, b, c = (recorded(batch).snapshot() for batch in (one, two, three))
    assert a.merge(b).merge(c) == a.merge(b.merge(c)) == recorded(one + two + three).snapshot()


def test_a_snapshot_holds_what_is_still_pending():
    """Nobody has to fold before reading."""
    recorder = OperationRecorder("demo.answer")
    recorder.durations.append(1.0)
    assert recorder.snapshot().calls == 1
    assert recorder.durations == []


def test_the_lists_stay_the_same_objects():
    """A writer may keep their `append` for good, over folds and resets."""
    recorder = OperationRecorder("demo.answer")
    append_duration, append_gap = recorder.durations.append, recorder.gaps.append
    append_duration(1.0)
    recorder.fold()
    recorder.reset()
    append_duration(2.0)
    append_gap(0.5)
    stats = recorder.snapshot()
    assert (stats.completed, stats.max, stats.gaps.count) == (1, 2.0, 1)


def test_what_is_pending_stays_bounded():
    """Every kind of note is folded once enough of it has come together."""
    recorder = OperationRecorder("demo.answer")
    for _ in range(FOLD_AT + 1):
        recorder.failed(0.1, ValueError())
        recorder.dropped(0.1, Ending.CLOSED)
        recorder.first_item(0.1)
        recorder.used(Usage(1), own=True)
        recorder.used(Usage(1), own=False)
        recorder.memory(1)
    pending = [getattr(recorder, name) for name in recorder.__slots__]
    assert max(len(each) for each in pending if isinstance(each, list)) < FOLD_AT
    assert recorder.snapshot().failed == FOLD_AT + 1


def test_usage_of_inner_operations_counts_only_inclusively():
    """What an operation spent itself is told apart from what happened inside it."""
    recorder = OperationRecorder("demo.answer")
    recorder.used(Usage(100, 10, 0, 0.5), own=True)
    recorder.used(Usage(7, 3, 0, 0.25), own=False)
    stats = recorder.snapshot()
    assert stats.own_usage == Usage(100, 10, 0, 0.5)
    assert stats.usage == Usage(107, 13, 0, 0.75)


def test_error_names_are_bounded():
    """The names that came first are kept apart, all others are counted together."""
    recorder = OperationRecorder("demo.answer")
    for number in range(MAX_ERROR_NAMES + 8):
        kind = type(f"Error{number}", (Exception,), {})
        recorder.failed(0.1, kind())
        recorder.failed(0.1, kind())
        recorder.fold()
    stats = recorder.snapshot()
    assert len(stats.errors) == MAX_ERROR_NAMES + 1
    assert (stats.errors["Error0"], stats.errors["Error31"], stats.errors[OTHER]) == (2, 2, 16)
    assert sum(stats.errors.values()) == stats.failed == 80


def test_reset_forgets_everything():
    """Folded or pending, it is gone; what comes later counts."""
    recorder = recorded([("completed", 1.0), ("failed", 1.0, ValueError)])
    recorder.durations.append(1.0)
    recorder.reset()
    assert recorder.snapshot().empty
    recorder.durations.append(1.0)
    assert recorder.snapshot().calls == 1


def test_recording_in_the_midst_of_a_fold_neither_blocks_nor_loses():
    """A stream collected while its thread folds reports its end to the very recorder."""
    recorder = OperationRecorder("demo.answer")
    with recorder._lock:
        for _ in range(FOLD_AT + 1):
            recorder.dropped(0.5, Ending.ABANDONED)
        recorder.fold()
    assert recorder.snapshot().abandoned == FOLD_AT + 1


def test_what_comes_in_while_a_batch_is_taken_is_kept_for_the_next():
    """Between copying what is pending and removing it, another thread may append."""

    class Busy(list):
        def __getitem__(self, key):
            found = super().__getitem__(key)
            self.append(2.0)
            return found

    recorder = OperationRecorder("demo.answer")
    recorder.durations = Busy([1.0])
    recorder.fold()
    assert recorder.durations == [2.0]
    assert recorder._stats.latency.sum == 1.0


def test_a_fold_that_fails_leaves_the_recorder_usable():
    """The lock is given back whatever happens."""
    recorder = OperationRecorder("demo.answer")
    recorder.durations.append("soon")
    with pytest.raises(TypeError):
        recorder.fold()
    recorder.durations.append(1.0)
    assert recorder.snapshot().calls == 1


def test_many_threads_are_counted_exactly():
    """Eight writers of 20,000 calls each, folding, read and merged meanwhile: none is lost."""
    recorder = OperationRecorder("demo.answer")
    writers, calls = 8, 20_000
    seen: list[int] = []

    def write() -> None:
        append = recorder.durations.append
        for number in range(calls):
            append(number / 1024)
            if len(recorder.durations) >= FOLD_AT:
                recorder.fold()
            if number % 10 == 0:
                recorder.failed(0.5, ERRORS[number % 3]())
                recorder.dropped(0.5, DROPS[number % 3])
                recorder.used(Usage(2, 1, 0, 0.5), own=number % 20 == 0)
                recorder.memory(number)

    def read() -> None:
        seen.extend(recorder.snapshot().calls for _ in range(200))

    in_threads(*[write] * writers, read)
    stats = recorder.snapshot()
    tenth = writers * calls // 10
    assert stats.completed == writers * calls
    assert stats.latency.sum == writers * sum(range(calls)) / 1024
    assert (stats.failed, stats.dropped) == (tenth, tenth)
    assert sum(stats.errors.values()) == tenth
    assert stats.usage == Usage(2 * tenth, tenth, 0, 0.5 * tenth)
    assert stats.own_usage == Usage(tenth, tenth // 2, 0, 0.25 * tenth)
    assert stats.memory.count == tenth
    assert seen == sorted(seen)
