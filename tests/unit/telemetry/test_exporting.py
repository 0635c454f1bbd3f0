"""The queue in front of an exporter."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentperf import ConfigurationError, Host, timed, use
from agentperf.abc import Exporter, Noted
from agentperf.config import Settings
from agentperf.events import CacheHit, CacheMiss, CallEnded, Event
from agentperf.telemetry.exporting import BATCH
from agentperf.telemetry.tally import Tally
from agentperf.testing import FakeClock

SOON = 10.0
"""Seconds that a test waits for another thread before it fails."""


class Kept(Exporter):
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.batches: list[list[Noted]] = []
        self.threads: set[int] = set()
        self.closed = 0

    def export(self, batch: Sequence[Noted]) -> None:
        """Keep a batch."""
        self.threads.add(threading.get_ident())
        self.batches.append(list(batch))

    def close(self) -> None:
        """Count the closing."""
        self.threads.add(threading.get_ident())
        self.closed += 1

    @property
    def operations(self) -> list[str]:
        """The operations of everything kept, in order."""
        return [noted.event.operation for batch in self.batches for noted in batch]


class Held(Kept):
    """Doesn't come back before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def export(self, batch: Sequence[Noted]) -> None:
        """Wait, then keep the batch."""
        self.entered.set()
        assert self.let_go.wait(SOON)
        super().export(batch)


class Failing(Kept):
    """Fails on every batch that holds the operation `bad`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def export(self, batch: Sequence[Noted]) -> None:
        """Keep the batch, or fail."""
        if any(noted.event.operation == "bad" for noted in batch):
            raise self.error
        super().export(batch)


@pytest.fixture
def host() -> Iterator[Host]:
    """A host of its own, whose exports end with the test."""
    host = Host(clock=FakeClock(), settings=Settings())
    yield host
    for export in host._exports:
        export.close(SOON)


def emit(host: Host, *operations: str) -> None:
    """Send a hit for each operation."""
    for operation in operations:
        if (send := host.bus.emitter(CacheHit)) is not None:
            send(CacheHit(operation=operation))


def test_events_arrive_in_order_with_their_time(host):
    """A batch holds the oldest first, each with the wall clock of its moment."""
    exporter = Kept()
    export = host.export(exporter)
    emit(host, "a")
    host.clock.advance(5)
    emit(host, "b")
    assert export.flush(SOON)
    assert exporter.operations == ["a", "b"]
    times = [noted.at for batch in exporter.batches for noted in batch]
    assert times == [1_700_000_000.0, 1_700_000_005.0]
    assert (export.exported, export.dropped, export.waiting) == (2, 0, 0)


def test_calls_of_timed_functions_are_exported(host):
    """The whole way: a call, its event, the exporter."""
    exporter = Kept()
    export = host.export(exporter)
    with use(host):
        timed("op")(lambda: None)()
    assert export.flush(SOON)
    [[noted]] = exporter.batches
    assert isinstance(noted.event, CallEnded)


def test_an_exporter_gets_the_kinds_it_wants(host):
    """What it doesn't name isn't even made for it."""

    class Misses(Kept):
        kinds = (CacheMiss,)

    exporter = Misses()
    export = host.export(exporter)
    assert host.bus.emitter(CacheHit) is None
    host.bus.emitter(CacheMiss)(CacheMiss(operation="m"))
    assert export.flush(SOON)
    assert exporter.operations == ["m"]


def test_the_exporter_lives_in_one_thread_of_its_own(host):
    """Neither the caller's thread nor the one that closes ever runs it."""
    exporter = Kept()
    export = host.export(exporter)
    emit(host, "a")
    assert export.flush(SOON)
    emit(host, "b")
    assert export.close(SOON)
    assert len(exporter.threads) == 1
    assert threading.get_ident() not in exporter.threads


def test_a_slow_exporter_holds_nobody_up_and_the_excess_is_dropped(host):
    """What doesn't fit is dropped and counted, the rest is exported when it comes back."""
    exporter = Held()
    export = host.export(exporter, capacity=3)
    emit(host, "first")
    assert not export.flush(0)
    assert exporter.entered.wait(SOON)
    emit(host, "a", "b", "c", "d", "e")
    assert (export.waiting, export.dropped) == (3, 2)
    exporter.let_go.set()
    assert export.flush(SOON)
    assert exporter.operations == ["first", "a", "b", "c"]
    assert (export.exported, export.dropped) == (4, 2)


def test_no_batch_is_too_big(host):
    """Many events come in several batches; a full one doesn't wait for company."""
    exporter = Kept()
    export = host.export(exporter)
    emit(host, *map(str, range(2 * BATCH + 7)))
    assert export.flush(SOON)
    assert sum(map(len, exporter.batches)) == 2 * BATCH + 7
    assert max(map(len, exporter.batches)) <= BATCH


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
def test_a_failing_exporter_is_logged_once_and_goes_on(host, caplog, error):
    """Its batches count as dropped; the caller sees nothing and later batches get through."""
    exporter = Failing(error)
    export = host.export(exporter)
    for operations in (["bad"], ["bad", "x"], ["good"]):
        emit(host, *operations)
        assert export.flush(SOON)
    assert exporter.operations[-1] == "good"
    assert export.exported + export.dropped == 4
    assert export.dropped in (2, 3)  # as the batches fell
    assert [record.message.split()[0] for record in caplog.records] == ["exporter.failed"]


def test_closing_exports_the_rest_and_closes_once(host):
    """Afterwards nothing is taken any more."""
    exporter = Kept()
    export = host.export(exporter)
    emit(host, "a")
    export()
    assert exporter.operations == ["a"]
    assert exporter.closed == 1
    assert export.closed
    assert export.close()
    assert exporter.closed == 1
    assert host.bus.emitter(CacheHit) is None


def test_an_event_after_the_end_is_dropped(host):
    """One that was on its way when the export was closed is counted."""
    export = host.export(Kept())
    send = host.bus.emitter(CacheHit)
    export.close(SOON)
    send(CacheHit(operation="late"))
    assert (export.dropped, export.waiting) == (1, 0)


def test_closing_an_exporter_that_does_not_come_back_is_bounded(host):
    """The caller goes on and is told so."""
    exporter = Held()
    export = host.export(exporter)
    emit(host, "a")
    assert not export.close(0.01)
    exporter.let_go.set()
    while not exporter.closed:
        time.sleep(0.001)
    assert exporter.operations == ["a"]


def test_flushing_without_events_starts_no_thread(host):
    """Nothing to wait for."""
    before = threading.active_count()
    assert host.export(Kept()).flush(0)
    assert threading.active_count() == before


def test_what_exporting_causes_is_not_exported(host):
    """Else an exporter whose own calls are measured would never come to rest."""

    class Echo(Kept):
        def export(self, batch: Sequence[Noted]) -> None:
            super().export(batch)
            emit(host, "echo")

    exporter = Echo()
    export = host.export(exporter)
    emit(host, "a")
    assert export.flush(SOON)
    assert export.flush(SOON)
    assert exporter.operations == ["a"]


def test_an_exporter_that_flushes_does_not_wait_for_itself(host):
    """It is told that this can't be."""
    answers: list[bool] = []

    class Impatient(Kept):
        def export(self, batch: Sequence[Noted]) -> None:
            answers.append(export.flush(SOON))

    export = host.export(Impatient())
    emit(host, "a")
    assert export.flush(SOON)
    assert answers == [False]


def test_from_many_threads_every_event_is_accounted_for(host):
    """Exported and dropped together are what was sent."""
    export = host.export(Kept(), capacity=200)
    each, threads = 3000, 8
    work = [threading.Thread(target=lambda: emit(host, *(["op"] * each))) for _ in range(threads)]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert export.close(SOON)
    assert export.exported + export.dropped == each * threads
    assert export.waiting == 0


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(st.one_of(st.integers(1, 20), st.sampled_from(["flush", "bad"])), max_size=12),
    capacity=st.integers(1, 25),
)
def test_nothing_is_lost_uncounted_or_sent_twice(steps, capacity):
    """Whatever the order of events, faults and flushes: exported once, in order, or dropped."""
    host = Host(clock=FakeClock(), settings=Settings())
    exporter = Failing(OSError("away"))
    export = host.export(exporter, capacity=capacity)
    sent = 0
    for step in steps:
        if step == "flush":
            assert export.flush(SOON)
            continue
        names = ["bad"] if step == "bad" else [str(sent + i) for i in range(step)]
        emit(host, *names)
        sent += len(names)
    assert export.close(SOON)
    arrived = [int(name) for name in exporter.operations]
    assert arrived == sorted(set(arrived))
    assert len(arrived) == export.exported
    assert export.exported + export.dropped == sent


@pytest.mark.parametrize("wrong", [None, print, Kept, object()])
def test_what_is_no_exporter_is_refused(host, wrong):
    """With an example of what would be one."""
    with pytest.raises(ConfigurationError, match=r"export\(MyExporter\(\)\)"):
        host.export(wrong)


@pytest.mark.parametrize("capacity", [0, -1, 1.5, True])
def test_a_capacity_is_a_whole_number(host, capacity):
    """The parameter is named."""
    with pytest.raises(ConfigurationError, match="capacity="):
        host.export(Kept(), capacity=capacity)


def test_kinds_that_are_no_events_are_refused(host):
    """Nothing is left behind then."""

    class Wrong(Kept):
        kinds = (int,)

    with pytest.raises(ConfigurationError):
        host.export(Wrong())
    assert host._exports == []


def test_a_host_that_begins_anew_goes_on_exporting(host):
    """With an empty queue and another thread; the counts begin at nothing."""
    exporter = Kept()
    export = host.export(exporter)
    emit(host, "a")
    assert export.flush(SOON)
    host.begin_anew()
    assert export.exported == 0
    emit(host, "b")
    assert export.flush(SOON)
    assert exporter.operations == ["a", "b"]
    assert export.exported == 1


def test_a_closed_export_does_not_come_back(host):
    """Beginning anew revives nothing."""
    host.export(Kept()).close(SOON)
    host.begin_anew()
    assert host._exports == []
    assert host.bus.emitter(Event) is None or host.bus.emitter(CacheHit) is None


def test_it_shows_how_far_it_is(host):
    """For a look in the debugger."""
    assert repr(host.export(Kept())) == "<Exporting to Kept: 0 exported, 0 dropped>"


def test_a_tally_is_exact_from_many_threads():
    """However often it folds meanwhile."""
    tally = Tally()

    def count() -> None:
        for _ in range(20_000):
            tally.add(1)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert tally.total() <= 80_000
    assert tally.total() == 80_000
    assert len(tally._pending) == 0


PROGRAM = """
import os, sys, threading
from agentperf import Host
from agentperf.abc import Exporter
from agentperf.events import CacheHit

class Out(Exporter):
    def export(self, batch):
        os.write(1, "".join(f"{os.getpid()} {n.event.operation}\\n" for n in batch).encode())

host = Host()
export = host.export(Out())
send = lambda name: host.bus.emitter(CacheHit)(CacheHit(operation=name))
"""


def run(code: str) -> list[list[str]]:
    """Run a program and return the process and the operation of every event exported."""
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM + code],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stderr == ""
    return [line.split() for line in ran.stdout.splitlines()]


def test_the_end_of_the_interpreter_flushes():
    """What is in the queue then is exported."""
    assert [name for _, name in run("send('a'); send('b')")] == ["a", "b"]


def test_an_event_at_the_very_end_does_no_harm():
    """After the exit handlers it is dropped, quietly."""
    code = """
emit = host.bus.emitter(CacheHit)
class Late:
    def __del__(self, emit=emit, event=CacheHit(operation="late")):
        emit(event)
late = Late()
send("a")
"""
    assert [name for _, name in run(code)] == ["a"]


def test_a_hanging_exporter_does_not_keep_the_program():
    """The end of the interpreter waits for it a bounded time only."""
    code = (
        "import agentperf.telemetry.exporting as e; e.AT_EXIT = 0.1\n"
        "Out.export = lambda self, batch: threading.Event().wait()\nsend('a')"
    )
    assert run(code) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_begins_with_an_empty_queue():
    """What the parent had queued is exported once, the child's own by the child."""
    code = """
import warnings
warnings.simplefilter("ignore", DeprecationWarning)
send("before")
child = os.fork()
if child == 0:
    send("in-child")
    sys.exit(0)
os.waitpid(child, 0)
send("after")
"""
    lines = run(code)
    assert sorted(name for _, name in lines) == ["after", "before", "in-child"]
    processes = {name: process for process, name in lines}
    assert processes["before"] == processes["after"] != processes["in-child"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_worker_process_of_multiprocessing_flushes_too():
    """It runs no exit handlers, and its events arrive all the same."""
    code = """
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)
worker = multiprocessing.get_context("fork").Process(target=send, args=("in-worker",))
worker.start()
worker.join()
"""
    assert [name for _, name in run(code)] == ["in-worker"]


def test_a_program_that_exports_nothing_does_not_load_it():
    """Who has no exporter pays for none."""
    code = "import agentperf, sys; agentperf.stats(); print('exporting' in str(sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ran.stdout == "False\n"
