"""Entries in a file: saved by one process, loaded by another."""

from __future__ import annotations

import dataclasses

import pytest

import agentperf
from agentperf import Cache, Host, cached, errors, handle
from agentperf.codec import Codec
from agentperf.config import Settings
from agentperf.policies.cached import exporting
from agentperf.testing import FakeClock, fresh_host
from tests.unit.policies.cached.calls import COLOURS, Counted, outcome

pytestmark = pytest.mark.anyio

SECRET, OTHER = "a secret of many characters", "another secret of many characters"


@dataclasses.dataclass
class Answer:
    """An answer of a class."""

    words: list


@pytest.fixture
def file(tmp_path):
    """Where to."""
    return tmp_path / "answers.cache"


def _world(secret=None):
    return agentperf.use(Host(clock=FakeClock(), settings=Settings(cache_secret=secret or ())))


@pytest.mark.parametrize("colour", COLOURS)
async def test_another_process_goes_on_where_one_ended(file, colour):
    """With answers and streams, by the same keys."""
    source = Counted(lambda x: [x, {"x": [x]}])
    f = cached("10m")(source.function(colour))
    with fresh_host():
        expected = [await outcome(f(x)) for x in (1, "1", None)]
        assert handle(f).cache.save(file) == 3
    with fresh_host():
        assert handle(f).cache.load(file) == 3
        assert [await outcome(f(x)) for x in (1, "1", None)] == expected
        assert handle(f).cache.stats().hits == 3
    assert source.calls == 3


def test_times_go_on_in_the_file(file):
    """What expired meanwhile is not taken in, and the rest lives no longer than it would have."""
    clock, source = FakeClock(), Counted()
    f = cached("10s")(source.function("sync"))
    for_ever = cached(Counted().function("sync"))
    with fresh_host(clock):
        f(1)
        for_ever(1)
        clock.advance("6s")
        f(2)
        assert handle(f).cache.save(file) == 2
        clock.advance("5s")
        handle(f).cache.clear()
        assert handle(f).cache.load(file) == 1
        f(2)
        clock.advance("6s")
        f(2)
        assert source.calls == 3
        assert handle(for_ever).cache.save(file) == 1
        handle(for_ever).cache.clear()
        clock.advance("365d")
        assert handle(for_ever).cache.load(file) == 1


def test_old_answers_are_left_out_and_their_options_hold(file):
    """An answer that was loaded may be given past its time like any other."""
    clock = FakeClock()
    with fresh_host(clock):
        f = cached("10s", stale="1m")(Counted().function("sync"))
        f(1)
        handle(f).cache.save(file)
        handle(f).cache.clear()
        handle(f).cache.load(file)
        clock.advance("11s")
        assert f(1) == [1]
        assert handle(f).cache.stats().stale == 1


def test_what_is_there_stays(file):
    """Loading adds; it takes nothing away, and keeps to the room there is."""
    numbers = iter(range(100))
    f = cached(max_entries=2)(lambda x: next(numbers))
    with fresh_host():
        f(1), f(2)
        handle(f).cache.save(file)
        handle(f).cache.clear()
        assert f(1) == 2
        assert handle(f).cache.load(file) == 1
        assert [f(1), f(2)] == [2, 1]
        f(3)
        handle(f).cache.load(file)
        assert handle(f).cache.stats().size == 2


def test_tags_and_tenants_come_along(file):
    """What was loaded is invalidated and kept apart as before."""
    source = Counted()
    f = cached(tags="x:{x}")(source.function("sync"))
    with fresh_host():
        f(1)
        with agentperf.scope(tenant="acme"):
            f(2)
        agentperf.invalidate(tags="x:3")
        assert handle(f).cache.save(file) == 2
    with fresh_host():
        assert handle(f).cache.load(file) == 2
        f(1), f(2)
        with agentperf.scope(tenant="acme"):
            f(2)
        assert source.calls == 3
        agentperf.invalidate(tags="x:1")
        f(1)
        assert source.calls == 4


def test_what_cannot_travel_is_left_out(file):
    """Objects, and what belongs to an instance of this process."""
    with fresh_host():
        f = cached(copy="share")(lambda x: object() if x else "text")
        f(0), f(1)
        assert handle(f).cache.save(file) == 1

        class Model:
            @cached(version="1")
            def name(self, x):
                return "small"

        model = Model()
        model.name(1)
        assert handle(model.name).cache.save(file) == 0
        assert handle(model.name).cache.load(file) == 0


def test_classes_are_known_by_the_annotation(file):
    """And dropped where they are not."""

    def answer(x: int) -> Answer:
        return Answer([x])

    f = cached(name="f")(answer)
    with fresh_host():
        f(1)
        handle(f).cache.save(file)
        handle(f).cache.clear()
        assert handle(f).cache.load(file) == 1
        assert f(1) == Answer([1])
    row = (None, 1, b"v" + Codec().encode(1)[:-1], None, ())
    file.write_bytes(_file(("f", (row,))))
    with fresh_host():
        assert handle(f).cache.load(file) == 0


def test_a_file_is_signed_where_a_secret_is_set(file):
    """And nothing else is read then."""
    f = cached(name="f")(Counted().function("sync"))
    with _world(SECRET):
        f(1)
        handle(f).cache.save(file)
        assert handle(f).cache.load(file) == 0
    with _world(OTHER), pytest.raises(errors.BackendError, match="its signature is wrong"):
        handle(f).cache.load(file)
    with _world():
        f(1)
        handle(f).cache.save(file)
    with _world(SECRET), pytest.raises(errors.BackendError, match="it is not signed"):
        handle(f).cache.load(file)


def _file(content):
    data = Codec().encode(content, name=exporting._HEAD)
    return exporting._HEAD + exporting._checksum(data) + data


GOOD = (None, 1, b"v", None, ())
GARBAGE = {
    "nothing": b"",
    "text": b"hello",
    "another version": b"agentperf cache 2\n",
    "no content": exporting._HEAD,
    "cut off": _file(("f", (GOOD,)))[:-3],
    "another form": _file(5),
    "rows of another form": _file(("f", (GOOD, 5))),
    "short rows": _file(("f", (GOOD, GOOD[:-1]))),
    "unhashable keys": _file(("f", (GOOD, (None, [1], b"", None, ())))),
    "data of another kind": _file(("f", (GOOD, (None, 1, "text", None, ())))),
    "times of another kind": _file(("f", (GOOD, (None, 1, b"", "never", ())))),
    "tags of another kind": _file(("f", (GOOD, (None, 1, b"", None, (1,))))),
    "a scope of another kind": _file(("f", (GOOD, ("acme", 1, b"", None, ())))),
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=list(GARBAGE))
def test_garbage_is_an_error_and_nothing_is_taken_in(fresh_host, file, data):
    """Whatever it is."""
    file.write_bytes(data)
    f = cached(name="f")(Counted().function("sync"))
    with pytest.raises(errors.BackendError, match=r"answers\.cache"):
        handle(f).cache.load(file)
    assert handle(f).cache.stats().size == 0


def test_a_single_bit_is_noticed(fresh_host, file):
    """Wherever it is, also in the midst of an answer."""
    f = cached(name="f")(Counted().function("sync"))
    f("42 euro")
    handle(f).cache.save(file)
    handle(f).cache.clear()
    good = file.read_bytes()
    for at in range(len(good)):
        file.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(errors.BackendError):
            handle(f).cache.load(file)
    file.write_bytes(good)
    assert handle(f).cache.load(file) == 1


def test_the_answers_of_another_function_are_refused(fresh_host, file):
    """Unless the two share a name."""
    f, g = cached(Counted().function("sync")), cached(name="g")(Counted().function("sync"))
    f(1)
    handle(f).cache.save(file)
    with pytest.raises(errors.ConfigurationError, match="of another cache, not of g"):
        handle(g).cache.load(file)


def test_a_file_has_a_limit(fresh_host, file, monkeypatch):
    """Also while it is written."""
    f = cached(name="f")(lambda: "x" * 1000)
    f()
    handle(f).cache.save(file)
    monkeypatch.setattr(exporting, "LARGEST", 500)
    with pytest.raises(errors.BackendError, match="more than 500 bytes"):
        handle(f).cache.load(file)
    before = file.read_bytes()
    with pytest.raises(errors.UncacheableValueError):
        handle(f).cache.save(file)
    assert file.read_bytes() == before


def test_files_are_their_owners_and_whole(fresh_host, file, monkeypatch):
    """A file that can't be written leaves the one before, and nothing beside it."""
    f = cached(name="f")(lambda: 1)
    f()
    handle(f).cache.save(file)
    assert file.stat().st_mode & 0o077 == 0

    def broken(*_):
        raise OSError("no space left")

    monkeypatch.setattr(exporting.Path, "replace", broken)
    with pytest.raises(OSError, match="no space"):
        handle(f).cache.save(file)
    assert list(file.parent.iterdir()) == [file]
    with pytest.raises(FileNotFoundError):
        handle(f).cache.load(file.with_name("nowhere"))


def test_a_backend_outlives_the_process_anyway(fresh_host, file):
    """There is nothing to save."""
    f = cached(backend=f"sqlite:{file}.db", name="f")(lambda: 1)
    with pytest.raises(errors.ConfigurationError, match="for caches in memory"):
        handle(f).cache.save(file)


def test_a_cache_without_a_decorator(file):
    """By its own keys."""
    kept = Cache(name="pages", copy="freeze")
    with fresh_host():
        kept.set("a", [1], ttl="1h", tags="all")
        kept.get_or_compute("b", lambda: 2)
        assert kept.save(file) == 2
    with fresh_host():
        assert kept.load(file) == 2
        assert (kept.get("a"), kept.get("b")) == ((1,), 2)
        agentperf.invalidate(tags="all")
        assert kept.get("a") is None
