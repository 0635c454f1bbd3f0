"""What is written where others can write: signed, and read only as far as it may be."""

from __future__ import annotations

import dataclasses
import json
import logging

import pytest

import agentperf
from agentperf import Cache, Host, cached, codec, configure, errors, events, handle
from agentperf.cli.main import main
from agentperf.config import Settings, load
from agentperf.policies.cached.memory.backend import MemoryBackend
from agentperf.testing import recorded
from tests.unit.policies.cached.calls import PLAIN, Counted, outcome

pytestmark = pytest.mark.anyio

ONE, TWO, THREE = (f"{name} is a secret of many characters" for name in ("one", "two", "three"))


class Shared(MemoryBackend):
    """Others can write there; what stands there can be looked at and spoilt."""

    shared = True

    @property
    def entries(self):
        """What stands there, but for the marks of leases."""
        return {entry.key: entry.value for entry in self._store if not entry.key.endswith(":l")}


@dataclasses.dataclass
class Answer:
    """What a function says that it returns."""

    text: str


def _world(*secrets):
    return agentperf.use(Host(settings=Settings(cache_secret=secrets)))


async def _calls(backend, colour="sync", *, secrets=(), **options):
    """Call a function in a world of its own; how often it was computed, and what was told."""
    source = Counted()
    with _world(*secrets), recorded(events.CacheUnreadable) as log:
        f = cached(backend=backend, name="f", **options)(source.function(colour))
        assert await outcome(f(1)) == [1]
    return source.calls, [event.reason for event in log]


@pytest.mark.parametrize("colour", PLAIN)
async def test_what_others_can_write_is_signed(colour):
    """And read by who has the secret."""
    backend = Shared()
    assert await _calls(backend, colour, secrets=[ONE]) == (1, [])
    assert await _calls(backend, colour, secrets=[ONE]) == (0, [])
    assert await _calls(backend, colour, secrets=[TWO]) == (1, ["its signature is wrong"])
    assert await _calls(backend, colour, secrets=[TWO]) == (0, [])


async def test_what_is_not_signed_is_a_miss():
    """Once there is a secret."""
    backend = Shared()
    await _calls(backend)
    assert await _calls(backend, secrets=[ONE]) == (1, ["it is not signed"])
    assert await _calls(backend) == (0, [])  # without a secret, whatever can be read is


async def test_secrets_can_be_changed_under_way():
    """The first signs, all are accepted."""
    backend = Shared()
    await _calls(backend, secrets=[ONE])
    assert await _calls(backend, secrets=[TWO, ONE]) == (0, [])
    backend.clear()
    await _calls(backend, secrets=[TWO, ONE])
    assert await _calls(backend, secrets=[ONE]) == (1, ["its signature is wrong"])
    backend.clear()
    await _calls(backend, secrets=[TWO, ONE])
    assert await _calls(backend, secrets=[TWO]) == (0, [])


async def test_entries_cannot_be_swapped():
    """A signature covers the key."""
    backend = Shared()
    with _world(ONE), recorded(events.CacheUnreadable) as log:
        f = cached(backend=backend, name="f")(Counted().function("sync"))
        f(1), f(2)
        (one, first), (other, second) = backend.entries.items()
        backend.set(one, second)
        backend.set(other, first)
        assert [f(1), f(2)] == [[1], [2]]
        assert handle(f).cache.stats().misses == 4
    assert [event.reason for event in log] == ["its signature is wrong"] * 2


async def test_a_value_cannot_be_passed_off_as_a_stream():
    """What kind of answer it is, is signed with it."""
    backend = Shared()
    with _world(ONE):
        f = cached(backend=backend, name="f")(lambda: ((1, 2), None))
        f()
        ((key, data),) = backend.entries.items()
        backend.set(key, b"s" + data[1:])
        assert f() == ((1, 2), None)
        assert handle(f).cache.stats().misses == 2


async def test_followers_streams_handles_and_objects_work_signed():
    """Whatever reads and writes."""
    backend = Shared()
    with _world(ONE):
        f = cached(backend=backend, name="f")(Counted(lambda x: [x, x]).function("generator"))
        assert [list(f(1)), list(f(1))] == [[1, 1]] * 2
        assert handle(f).cache.peek(1) == (1, 1)
        kept = Cache(backend=backend, name="kept")
        kept.set("a", 5)
        assert kept.get("a") == 5
        items = cached(backend=backend, name="items", per_item="xs")(lambda xs: [[x] for x in xs])
        assert items(["a", "b", "a"]) == items(["a", "b", "a"]) == [["a"], ["b"], ["a"]]
        assert handle(items).cache.stats().misses == 2


async def test_in_the_memory_of_the_process_nothing_is_signed():
    """Nobody else writes there."""
    backend = MemoryBackend()
    with _world(ONE):
        f = cached(backend=backend, name="f")(lambda: 1)
        f()
    with _world(TWO), recorded(events.CacheUnreadable) as log:
        assert handle(f).cache.peek() == 1
    assert not log


async def test_a_secret_may_come_later():
    """From the next call on."""
    backend, source = Shared(), Counted()
    with agentperf.use(Host(settings=Settings())):
        f = cached(backend=backend, name="f")(source.function("sync"))
        f(1)
        configure(cache_secret=ONE)
        f(1)
        f(1)
    assert source.calls == 2


GARBAGE = {
    b"": "it is damaged",
    b"v": "it was not written by agentperf",
    b"garbage": "it was not written by agentperf",
    b"vap\x07\x00\x00\x01": "it is of another version of the format",
    b"vap\x01\x02\x00\x01": "it is a pickle",
    b"vap\x01\x00\x00\xc1": "it is damaged",
    b"sap\x01\x00\x00\x01": "it was not written by agentperf",
    b"#\x05short": None,
    b"d\x00": None,
}


@pytest.mark.parametrize("data", GARBAGE)
@pytest.mark.parametrize("options", [{}, {"ttl": 9, "stale": 5}, {"tags": "all"}], ids=str)
async def test_a_poisoned_entry_is_a_miss(fresh_host, caplog, data, options):
    """It is told, each time as an event and once in the log, and replaced."""
    backend, source = Shared(), Counted()
    f = cached(backend=backend, name="f", **options)(source.function("sync"))
    f(1)
    (key,) = [key for key in backend.entries if key.startswith("ap1:")]
    with recorded(events.CacheUnreadable) as log, caplog.at_level(logging.WARNING):
        for _ in range(2):
            backend.set(key, data)
            assert f(1) == [1]
            assert f(1) == [1]
    assert source.calls == 3
    reason = GARBAGE[data]
    if reason is not None and data != b"":
        assert [event.reason for event in log] == [reason] * 2
        assert [record.message for record in caplog.records].count(
            f"cache.unreadable operation={f.__module__}.{f.__qualname__} reason={reason}"
        ) == 1


async def test_an_unknown_class_is_a_miss_with_a_reason(fresh_host):
    """Its name, which whoever wrote it chose, is not told."""
    backend = Shared()
    f = cached(backend=backend, name="f")(lambda: 1)
    f()
    (key,) = backend.entries
    foreign = codec.Codec()

    @dataclasses.dataclass
    class Stranger:
        x: int

    backend.set(key, b"v" + foreign.encode(Stranger(1)))
    with recorded(events.CacheUnreadable) as log:
        assert f() == 1
    assert [event.reason for event in log] == ["its class is unknown or has changed"]


async def test_a_codec_of_ones_own():
    """With its own secret, or signed with the one that is configured."""
    backend = Shared()
    mine = codec.Codec(secret=THREE, pickle=True)
    assert await _calls(backend, secrets=[ONE], codec=mine) == (1, [])
    assert await _calls(backend, secrets=[TWO], codec=codec.Codec(secret=THREE)) == (0, [])
    backend.clear()
    assert await _calls(backend, secrets=[ONE], codec={"max_bytes": 1000}) == (1, [])
    assert await _calls(backend, secrets=[ONE]) == (0, [])
    assert await _calls(backend, secrets=[TWO]) == (1, ["its signature is wrong"])


def test_a_codec_learns_what_the_function_returns(fresh_host):
    """From its annotation, in the process that reads first too."""
    backend = Shared()

    def answer() -> Answer:
        return Answer("yes")

    for _ in range(2):
        f = cached(backend=backend, name="f", codec=codec.Codec())(answer)
        assert f() == Answer("yes")
        assert handle(f).cache.peek() == Answer("yes")
    kept = Cache(backend=backend, name="c", codec={"max_bytes": 10})
    with pytest.raises(errors.UncacheableValueError, match="max_bytes=10"):
        kept.set("a", "x" * 100)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (5, "not int"),
        ("zstd", "not str"),
        ({"secrett": "the value of it"}, "the options of a codec are"),
        ({"pickle": True}, "only together with secret="),
    ],
)
def test_a_wrong_codec_is_refused(given, message):
    """Without showing what was written."""
    with pytest.raises(errors.ConfigurationError, match=message) as raised:
        cached(backend="sqlite:x.db", codec=given)
    assert "the value" not in str(raised.value)


def test_a_codec_is_for_backends():
    """In memory there are no bytes."""
    with pytest.raises(errors.ConfigurationError, match="codec= is for backends"):
        cached(codec={})


# The setting


def test_secrets_come_from_the_environment_or_a_file(tmp_path):
    """With commas between them, or as a list."""
    given = {"AGENTPERF_CACHE_SECRET": f"{ONE}, {TWO}"}
    assert load(given, tmp_path).cache_secret.reveal() == (ONE, TWO)
    (tmp_path / "agentperf.toml").write_text(f'cache_secret = ["{TWO}"]', encoding="utf-8")
    assert load({}, tmp_path).cache_secret.reveal() == (TWO,)
    assert not Settings().cache_secret
    assert Settings(cache_secret=ONE) == Settings(cache_secret=[ONE]) != Settings()
    assert hash(Settings(cache_secret=ONE).cache_secret) is not None


@pytest.mark.parametrize("given", ["quite short", ["long enough for a secret", "short"]])
def test_a_short_secret_is_refused_without_showing_it(given):
    """What it was stays out of the message."""
    with pytest.raises(errors.ConfigurationError, match="at least 16 characters") as raised:
        Settings(cache_secret=given)
    assert "short" not in str(raised.value)
    with pytest.raises(errors.ConfigurationError, match="not int"):
        Settings(cache_secret=5)


def test_nobody_sees_a_secret(tmp_path, monkeypatch, capsys):
    """Not who prints the settings, nor `agentperf config show`."""
    settings = Settings(cache_secret=ONE)
    mine = codec.Codec(secret=ONE)
    policy = cached(backend="sqlite:x.db", codec=mine)
    for shown in (settings, settings.cache_secret, mine, policy, list(settings.rows())):
        assert ONE not in f"{shown} {shown!r}"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGENTPERF_CACHE_SECRET", ONE)
    (tmp_path / "agentperf.toml").write_text(
        f'[policies."m.f".cached]\nbackend = "sqlite:x.db"\ncodec = {{secret = "{ONE}"}}',
        encoding="utf-8",
    )
    for arguments in (["config", "show"], ["config", "show", "--json"]):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert not ended.value.code
        shown = capsys.readouterr().out
        assert "cache_secret" in shown
        assert ONE not in shown
    assert json.loads(shown)
