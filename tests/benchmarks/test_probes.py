"""The probes: agentperf passes them, and each fails for a library that gets it wrong."""

from __future__ import annotations

import asyncio
import functools
import threading
import time

import pytest

from agentperf.testing import fresh_host
from tests.benchmarks.probes import breakers, cache, imports, limits, retries, table, typing
from tests.benchmarks.probes.probe import Probe

FAMILIES = {"cache": cache, "limits": limits, "breakers": breakers, "retries": retries}
QUICK = [
    pytest.param(family, probe, id=f"{name}-{probe.name}")
    for name, family in FAMILIES.items()
    for probe in family.PROBES
    if not probe.real_time
]


@pytest.mark.parametrize(("family", "probe"), QUICK)
def test_agentperf_passes(family, probe, monkeypatch):
    """What needs no real time is held here too; what doesn't pass yet is marked so."""
    monkeypatch.setattr(breakers, "REST", 600)  # a slow moment of the machine is no rest
    with fresh_host():
        adapter = family.CONTESTANTS["agentperf"]()
        if probe.not_yet:
            with pytest.raises(AssertionError):
                asyncio.run(probe.check(adapter))
        else:
            asyncio.run(probe.check(adapter))


# -- libraries that get it wrong ------------------------------------------------------------------


def nothing(function):
    """Do nothing at all."""
    return function


def one_key(function):
    """Cache, but take all calls for the same."""
    answers = []

    async def call(*args, **kwargs):
        if not answers:
            answers.append(await function(*args, **kwargs))
        return answers[0]

    return call


def keeps_errors(function):
    """Cache, and give the first error for ever."""
    errors = []

    async def call(*args):
        try:
            return await function(*args)
        except ZeroDivisionError as error:
            errors.append(error)
        finally:
            if errors:
                raise errors[0]

    return call


def truncates(function):
    """Replay a stream up to its first empty item."""
    kept = []

    async def call(*args):
        if not kept:
            kept.extend([item async for item in function(*args)])
            for item in kept:
                yield item
            return
        for item in kept:
            if not item:
                return
            yield item

    return call


def hangs(amount):
    """Admit what fits the first time, and nothing ever after."""
    left = [amount]

    async def take(key, cost):
        if cost > left[0]:
            await asyncio.Event().wait()
        left[0] -= cost

    return take


def counts_refused(amount):
    """Count before looking."""
    used = [0]

    async def take(key, cost):
        used[0] += cost
        return used[0] <= amount

    return take


def one_queue(amount):
    """Let everybody stand in one queue, whatever the key."""
    calls = []

    async def take(key, cost):
        calls.append(key)
        await asyncio.sleep(0.1 if len(calls) > 1 else 0)

    return take


def blocks(amount):
    """Sleep on the event loop."""

    def decorate(function):
        async def call():
            time.sleep(0.1)  # noqa: ASYNC251 - that is what is wrong with it
            return await function()

        return call

    return decorate


def lets_everybody_try(function):
    """Open after some failures, refuse once, and then let all through."""
    failures, refused = [], []

    async def call():
        if len(failures) == breakers.FAILURES and not refused:
            refused.append(1)
            raise RuntimeError("open")
        try:
            await function()
        except ConnectionError:
            failures.append(1)

    return call


def counts_cancelled(function):
    """Count a cancelled call as a failure."""
    failures = []

    async def call():
        if len(failures) >= breakers.FAILURES:
            raise RuntimeError("open")
        try:
            await function()
        except BaseException:
            failures.append(1)
            raise

    return call


def one_at_a_time(function):
    """Hold a lock while the call runs."""
    lock = threading.Lock()

    def call():
        with lock:
            return function()

    return call


def begins_anew(function):
    """Retry a stream even when its reader has items already."""

    async def call():
        for _ in range(3):
            try:
                async for item in function():
                    yield item
            except ConnectionError:
                continue
            return

    return call


def caching(decorate):
    """Make a cache of one decorator."""
    return cache.Cache(lambda: decorate)


def breaking(decorate):
    """Make a breaker of one decorator."""
    return breakers.Breaker(lambda: decorate)


WRONG = {
    cache.one_of_five_is_cancelled: (caching(nothing), "5 calls"),
    cache.leader_fails: (caching(nothing), "10 calls"),
    cache.work_is_long: (caching(nothing), "10 calls"),
    cache.spelled_differently: (caching(nothing), "4 entries"),
    cache.look_alike: (caching(one_key), r"\(1, 2\) got that of \[1, 2\]"),
    cache.load_fails_once: (caching(keeps_errors), "division by zero"),
    cache.same_address: (caching(one_key), "object 1 got the answer of object 0"),
    cache.hit_is_changed: (caching(one_key), "the cache was changed"),
    cache.stream_with_empty_item: (caching(truncates), "replayed"),
    cache.five_streams: (caching(nothing), "5 upstream"),
    cache.async_function: (
        cache.Cache(lambda: functools.cache, asynchronous=False),
        "already awaited",
    ),
    limits.big_among_small: (limits.Limits(waiting=hangs), "not served"),
    limits.larger_than_capacity: (limits.Limits(waiting=hangs), "still waiting"),
    limits.keys_are_independent: (limits.Limits(waiting=one_queue), "b waited"),
    limits.waiters_are_cancelled: (limits.Limits(waiting=hangs), "kept from the next"),
    limits.refused_consumes_nothing: (limits.Limits(asking=counts_refused), "was counted"),
    limits.async_function: (limits.Limits(decorating=blocks), "the event loop stood still"),
    breakers.half_open: (breaking(lets_everybody_try), "50 inside at once"),
    breakers.cancelled: (breaking(counts_cancelled), "counted as failures"),
    breakers.failing_stream: (breaking(nothing), "not counted"),
    breakers.threads: (breaking(one_at_a_time), "one after another"),
    breakers.async_function: (breaking(nothing), "not counted"),
    retries.failing_stream: (retries.Retry(begins_anew), r"gets \[0, 1, 0, 1, 2\]"),
    retries.total_time: (retries.Retry(nothing, nothing), "ran to its end"),
}
"""For each probe a library with the fault that it looks for, and what is to be said of it."""


@pytest.mark.parametrize(
    "probe",
    [probe for family in FAMILIES.values() for probe in family.PROBES],
    ids=lambda p: p.name,
)
def test_no_probe_is_passed_by_all(probe, monkeypatch):
    """Each fails, for its own reason, where a library has the fault."""
    monkeypatch.setattr(limits, "PATIENCE", 0.05)
    monkeypatch.setattr(limits, "LATE", 0.05)
    monkeypatch.setattr(breakers, "REST", 0.05)
    monkeypatch.setattr(breakers, "MEETING", 0.05)
    monkeypatch.setattr(retries, "TOTAL", 0.01)
    monkeypatch.setattr(cache, "LEASE", 0.01)
    adapter, reason = WRONG[probe.check]
    with pytest.raises(Exception, match=reason):
        asyncio.run(probe.check(adapter))


# -- types and imports ----------------------------------------------------------------------------

PROGRAM = typing.Decorated("import thing", "thing").program()
KNOWN = """p.py:8: note: Revealed type is "builtins.list[builtins.str]"
p.py:9: error: Argument 1
p.py:10: error: Unexpected keyword"""


def test_exact_types_pass():
    """The result is told and both wrong calls are found, however the checker writes the type."""
    typing.judge(PROGRAM, KNOWN)
    typing.judge(PROGRAM, KNOWN.replace("builtins.", ""))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (KNOWN.replace("builtins.list[builtins.str]", "Any"), "the result is Any"),
        (KNOWN.replace(":9:", ":3:"), "wrong type is not found"),
        (KNOWN.replace(":10:", ":3:"), "wrong name is not found"),
        ("mypy: can't read file", "can't read file"),
    ],
)
def test_lost_types_fail(said, reason):
    """Neither `Any`, nor a wrong call that goes unseen, nor a checker that doesn't run."""
    with pytest.raises(AssertionError, match=reason):
        typing.judge(PROGRAM, said)


def test_an_import_that_asks_the_network_fails(tmp_path, monkeypatch):
    """And ours doesn't ask."""
    text = "import socket\nsocket.getaddrinfo('localhost', 80)\n"
    (tmp_path / "asks_the_network.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(AssertionError, match="no network"):
        asyncio.run(imports.offline("asks_the_network"))
    asyncio.run(imports.offline(imports.MODULES["agentperf"]))


# -- the table ------------------------------------------------------------------------------------


def line(verdict, not_yet=""):
    """Make the line of a probe with three peers."""
    probe = Probe("a question", cache.look_alike, ("a", "b", "c"), not_yet=not_yet)
    names = ("agentperf", "a", "b", "c")
    verdicts = (verdict, "passed", "failed", "absent")
    reason = "because\nof this"
    answers = [table.Outcome(n, v, reason) for n, v in zip(names, verdicts, strict=True)]
    return table.Line(probe, answers)


@pytest.mark.parametrize(
    ("verdict", "not_yet", "shown"),
    [
        ("passed", "", "passed"),
        ("passed", "it was new", "passed"),
        ("failed", "", "FAILED"),
        ("failed", "it is new", "not yet"),
        ("not run", "", "FAILED"),
    ],
)
def test_the_table_says_who_passed_and_who_failed(verdict, not_yet, shown):
    """Whatever is not passed counts as failed for us; peers that are absent are named below."""
    answered = line(verdict, not_yet)
    written = list(table.layout([answered]))
    assert [cell.strip() for cell in written[2].split("|")[1:-1]] == ["a question", shown, "a", "b"]
    assert "  b, failed: because of this" in written
    assert written[-1] == "not installed: a, b, c"
    assert answered.passed == (shown == "passed")
    assert answered.to_dict()["agentperf"] == shown


def test_a_peer_that_is_not_installed_is_absent():
    """It is not asked."""
    assert table.ask("cache", cache.PROBES[0], "no-such-library").verdict == "absent"


def test_a_probe_is_put_in_a_process_of_its_own(monkeypatch):
    """The answer comes back; none in time is a failure."""
    probe = next(probe for probe in cache.PROBES if probe.check is cache.look_alike)
    assert table.ask("cache", probe, "agentperf") == table.Outcome("agentperf", "passed")
    monkeypatch.setattr(table, "PATIENCE", 0.001)
    assert table.ask("cache", probe, "agentperf").reason == "hung for 0.001 s"


def test_every_peer_of_a_probe_has_an_adapter_and_every_probe_a_name_of_its_own():
    """So that no question is lost between the table and the process that puts it."""
    for family in (*FAMILIES.values(), typing, imports):
        assert {n for probe in family.PROBES for n in probe.contestants} == set(family.CONTESTANTS)
        names = [probe.name for probe in family.PROBES]
        assert len(names) == len(set(names))
