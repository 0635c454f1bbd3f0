"""Runs written to a file and read back."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentperf import (
    ConfigurationError,
    Ending,
    Host,
    OperationStats,
    Usage,
    cached,
    measure,
    record,
    timed,
    use,
)
from agentperf.config import Settings
from agentperf.events import CacheMiss, CacheRefused, CallEnded, HttpCallEnded, ModelCallEnded
from agentperf.telemetry.exporting import Exporting
from agentperf.telemetry.recording import Recording, Writer, find, new_path, read
from agentperf.telemetry.report.summary import CacheCounts
from agentperf.testing import FakeClock

SOON = 10.0


@pytest.fixture
def host() -> Host:
    """A host of its own."""
    return Host(clock=FakeClock(), settings=Settings())


def begin(host: Host, path: Path) -> Writer:
    """Begin a recording."""
    return Writer(host, path, program="app.py", version="1.2.3")


def lines(path: Path) -> list[dict[str, object]]:
    """Return the lines of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_recording_says_what_was_run(host, tmp_path):
    """The header, and the end."""
    path = tmp_path / "run.jsonl"
    assert begin(host, path).stop(SOON)
    header, end = lines(path)
    assert header["agentperf_recording"] == 1
    assert end == {"kind": "end", "at": 1_700_000_000.0, "dropped": 0}
    run = read(path)
    assert (run.name, run.header.program, run.header.agentperf) == ("run", "app.py", "1.2.3")
    assert run.header.started == 1_700_000_000.0
    assert (run.ended, run.torn, run.dropped, run.remarks()) == (True, False, 0, [])
    assert run.summary.operations == ()


def worked(host: Host) -> dict[str, OperationStats]:
    """Make calls of all kinds and return what the host says of them."""
    rng = random.Random(3)

    @timed("ask")
    def ask(number: int) -> None:
        host.clock.advance(rng.expovariate(1))
        record(input_tokens=number, output_tokens=1, cost_usd=0.25)
        if number % 7 == 0:
            raise KeyError(number)

    @timed("stream")
    def stream() -> object:
        for _ in range(3):
            host.clock.advance(rng.random())
            yield 1

    with use(host):
        for number in range(300):
            with measure("outer"):
                try:
                    ask(number)
                except KeyError:
                    record(input_tokens=1)
            if number % 50 == 0:
                list(stream())
                next(iter(stream()))
        return host.stats()


def test_figures_are_those_of_the_running_program(host, tmp_path):
    """Counts, every percentile, errors, first items, usage: the same as `stats()` told."""
    path = tmp_path / "run.jsonl"
    writer = begin(host, path)
    told = worked(host)
    assert writer.stop(SOON)
    run = read(path)
    for operation in run.summary.operations:
        stats = told.pop(operation.name)
        assert operation.stats.own_usage == stats.own_usage
        summary = stats.to_dict()["summary"]
        assert operation.stats.errors == stats.errors
        for name, value in operation.stats.to_dict()["summary"].items():
            if not name.startswith("gap"):  # single gaps are not written down
                other = summary[name]
                same = None if other is None else pytest.approx(other, rel=1e-12)
                assert value == same, name
        assert operation.stats.latency.buckets == stats.latency.buckets
        assert operation.stats.first_item.buckets == stats.first_item.buckets
    assert told == {}
    assert run.summary.usage == host.tap.usage()


def test_hit_rates_are_exact(host, tmp_path):
    """From many threads, as the cache itself counts."""
    path = tmp_path / "run.jsonl"
    writer = begin(host, path)
    function = cached(ttl=1000, name="look")(lambda x: x)

    def work() -> None:
        with use(host):
            for number in range(2000):
                function(number % 100)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.stop(SOON)
    [operation] = read(path).summary.operations
    counts = operation.cache
    assert counts.hits + counts.misses + counts.shared == 8000
    assert counts.misses == counts.stored == 100
    assert counts.hit_rate == 7900 / 8000
    assert operation.stats.calls == 0


def test_refused_answers_are_counted(host, tmp_path):
    """What can't be stored shows."""
    path = tmp_path / "run.jsonl"
    writer = begin(host, path)
    for event in (CacheMiss(operation="op"), CacheRefused(operation="op", reason="too big")):
        host.bus.emitter(type(event))(event)
    assert writer.caches() == {"op": CacheCounts(misses=1, refused=1)}
    assert writer.stop(SOON)
    [operation] = read(path).summary.operations
    assert operation.cache == CacheCounts(misses=1, refused=1)


def test_kinds_of_calls_have_their_own_facts(host, tmp_path):
    """A model call names its model, a request its status; what is unknown is left out."""
    path = tmp_path / "run.jsonl"
    writer = begin(host, path)
    facts = {"operation": "op", "seconds": 0.5, "ending": Ending.COMPLETED}
    for event in (
        ModelCallEnded(**facts, provider="openai", model="m", server="h", usage=Usage(3, 4)),
        HttpCallEnded(**facts, method="GET", server="h", status=503),
        CallEnded(**facts, attributes={"secret": "never"}),
    ):
        host.bus.emitter(type(event))(event)
    assert writer.stop(SOON)
    common = {"at": 1_700_000_000.0, "operation": "op", "seconds": 0.5, "ending": "completed"}
    usage = {"input_tokens": 3, "output_tokens": 4, "cached_tokens": 0}
    model = {"provider": "openai", "model": "m", "server": "h", "usage": usage}
    http = {"method": "GET", "server": "h", "status": 503}
    assert lines(path)[1:4] == [
        {"kind": "model", **common, **model},
        {"kind": "http", **common, **http},
        {"kind": "call", **common},
    ]
    [operation] = read(path).summary.operations
    assert operation.stats.calls == 3
    assert operation.stats.own_usage == Usage(3, 4)


def test_no_argument_result_or_message_is_written(host, tmp_path):
    """Only the error's class stands in the file."""
    path = tmp_path / "run.jsonl"
    writer = begin(host, path)

    @timed("op", attributes={"user": "hunter2"})
    @cached
    def fail(word: str) -> str:
        if word == "hunter2":
            raise ValueError(word)
        return word + "2"

    with use(host):
        fail("hunter")
        with pytest.raises(ValueError, match="hunter2"):
            fail("hunter2")
    assert writer.stop(SOON)
    assert "hunter" not in path.read_text()
    assert '"error":"ValueError"' in path.read_text()


def test_a_torn_last_line_is_left_out_and_told(host, tmp_path):
    """Wherever a kill cut it off; the rest is read."""
    path = tmp_path / "run.jsonl"
    writer = begin(host, path)
    with use(host):
        for _ in range(5):
            timed("op")(lambda: None)()
    assert writer.stop(SOON)
    whole = path.read_bytes()
    start = whole.rindex(b'{"kind":"end"')
    for cut in range(start + 1, len(whole)):
        path.write_bytes(whole[:cut])
        run = read(path)
        assert (run.torn, run.ended) == (True, False)
        assert len(run.remarks()) == 2
        [operation] = run.summary.operations
        assert operation.stats.calls == 5


def test_a_run_that_was_killed_is_told(host, tmp_path):
    """Without its end, and with calls that could not be written."""
    path = tmp_path / "run.jsonl"
    begin(host, path).stop(SOON)
    header, _ = path.read_text().splitlines()
    path.write_text(f"{header}\n")
    assert read(path).remarks() == ["run: the run didn't come to its end, or is still going on"]
    path.write_text(f'{header}\n{{"kind":"end","at":1,"dropped":1200}}\n')
    assert read(path).remarks() == ["run: 1,200 calls were not written and are missing"]


CALL = '{"kind":"call","at":1,"operation":"x","seconds":1,"ending":"completed"'


@pytest.mark.parametrize(
    ("second", "says"),
    [
        ("not json", "line 2: not an object of JSON"),
        ("[1]", "line 2: not an object"),
        ("", "line 2: not an object"),
        ('{"kind":"dance"}', "line 2: kind='dance' is nothing"),
        ('{"kind":"call"}', "line 2: ending=None is none of completed"),
        (f'{CALL},"seconds":"long"}}', "line 2: seconds='long' is no number"),
        (f'{CALL},"seconds":NaN}}', "line 2: seconds=nan is no number"),
        (f'{CALL},"seconds":true}}', "line 2: seconds=True is no number"),
        (f'{CALL},"operation":7}}', "line 2: operation=7 is no text"),
        (f'{CALL},"usage":3}}', "line 2: usage=3 is no object"),
        (f'{CALL},"usage":{{"tokens":3}}}}', "has other fields than a usage"),
        (f'{CALL},"usage":{{"input_tokens":-3}}}}', "input_tokens=-3 is no whole number"),
        ('{"kind":"cache","operation":"x","hits":1}', "misses=None is no whole number"),
        ('{"kind":"end"}', "dropped=None"),
    ],
)
def test_garbage_is_a_clear_error(tmp_path, second, says):
    """The file and the line are named."""
    path = tmp_path / "run.jsonl"
    header = '{"agentperf_recording":1,"agentperf":"1","python":"3","program":"a","started":1}'
    path.write_text(f"{header}\n{second}\n{CALL}}}\n")
    with pytest.raises(ConfigurationError) as caught:
        read(path)
    assert str(path) in str(caught.value)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no header"),
        ('{"agentperf_recording":1', "has no header"),
        ('{"a":1}\n', "line 1: this is no recording"),
        ('{"agentperf_recording":"1"}\n', "line 1: this is no recording"),
        ('{"agentperf_recording":2}\n', "format 2, which a newer agentperf wrote"),
        ('{"agentperf_recording":1}\n', "agentperf=None is no text"),
        ("\x00\xff\n", "line 1: not an object"),
    ],
)
def test_what_is_no_recording_is_refused(tmp_path, text, says):
    """Also one that a newer version wrote."""
    path = tmp_path / "run.jsonl"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigurationError, match=says):
        read(path)


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_reading_anything_is_an_error_or_a_recording(tmp_path_factory, data):
    """No bytes make the reader fail in another way."""
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    header = b'{"agentperf_recording":1,"agentperf":"1","python":"3","program":"a","started":1}\n'
    path.write_bytes(header + data)
    with contextlib.suppress(ConfigurationError):
        assert isinstance(read(path), Recording)


def test_a_missing_file_is_a_clear_error(tmp_path):
    """With the reason."""
    with pytest.raises(ConfigurationError, match="can't be read: No such file"):
        read(tmp_path / "nowhere.jsonl")


def test_a_full_disk_ends_the_recording_and_nothing_else(host, tmp_path, caplog):
    """What was written stays readable, the rest is counted as dropped and logged once."""
    path = tmp_path / "run.jsonl"
    writer = begin(host, path)

    class Full:
        def write(self, data: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    file, writer._file = writer._file, Full()
    with use(host):
        timed("op")(lambda: None)()
        assert isinstance(writer._export, Exporting)
        assert writer._export.flush(SOON)
        writer._file = file
        timed("op")(lambda: None)()
    assert writer.stop(SOON)
    assert writer.dropped == 2
    assert [entry.message.split()[0] for entry in caplog.records] == ["exporter.failed"]
    assert read(path).summary.operations == ()


class TestFolder:
    """Where recordings are kept."""

    @pytest.fixture(autouse=True)
    def _here(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)

    def test_it_keeps_itself_out_of_version_control(self):
        """By a file of its own, which a user may change."""
        path = new_path("before")
        assert path == Path.cwd() / ".agentperf" / "before.jsonl"
        ignore = path.parent / ".gitignore"
        assert ignore.read_text() == "*\n"
        ignore.write_text("mine")
        new_path("after")
        assert ignore.read_text() == "mine"

    def test_a_name_is_taken_once(self):
        """Nothing is overwritten unasked."""
        new_path("before").write_text("kept")
        with pytest.raises(ConfigurationError, match="--replace"):
            new_path("before")
        assert find("before").read_text() == "kept"
        assert new_path("before", replace=True).read_text() == ""

    def test_without_a_name_it_is_the_time(self):
        """Two within a second are told apart."""
        names = {new_path().name for _ in range(3)}
        assert len(names) == 3

    @pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 200, "ä", "a\n"])
    def test_a_name_is_a_name(self, name):
        """No path, nothing that a shell would stumble over."""
        with pytest.raises(ConfigurationError, match="--name before"):
            new_path(name)

    @pytest.mark.skipif(not hasattr(os, "geteuid"), reason="needs a file system of POSIX")
    def test_a_folder_that_is_a_file_is_a_clear_error(self):
        """With the reason."""
        Path(".agentperf").write_text("")
        with pytest.raises(ConfigurationError):
            new_path("before")

    def test_the_latest_is_the_one_written_last(self):
        """By the files' own times."""
        for age, name in enumerate(("b", "c", "a")):
            os.utime(new_path(name), (1000 + age, 1000 + age))
        assert find().stem == "a"
        assert find("c").stem == "c"

    def test_a_path_will_do_too(self, tmp_path):
        """For recordings from elsewhere."""
        other = tmp_path / "elsewhere.txt"
        other.write_text("")
        assert find(str(other)) == other

    def test_what_is_not_there_is_told_with_what_is(self):
        """Or how to make one."""
        with pytest.raises(ConfigurationError, match=r"agentperf run --record app\.py"):
            find()
        new_path("before")
        with pytest.raises(ConfigurationError, match="there is: before"):
            find("befor")
