"""Which host is current: regions, tasks, threads; and when pipelines are bound anew."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from agentperf import ConfigurationError, Host, scope, stats, timed, use
from agentperf._engine import current
from agentperf._engine.bindings import Bindings
from agentperf._engine.current import current_host, default_bindings
from agentperf.events import CallEnded
from tests.unit._engine.spies import Spy


@timed("op")
def op():
    """Count."""


def calls(host):
    """How often `op` was called on a host."""
    return host.operation_stats("op").calls


def test_regions_nest():
    """The innermost host is current, and each counts its own."""
    outer, inner = Host(), Host()
    with use(outer) as given:
        assert given is outer
        op()
        with use(inner):
            op()
            op()
            with use(outer):
                op()
        assert current_host() is outer
    assert (calls(outer), calls(inner)) == (2, 2)


def test_a_region_ends_with_an_error():
    """The host before is current again."""
    outer, inner = Host(), Host()
    with use(outer):
        with pytest.raises(KeyError), use(inner):
            raise KeyError
        assert current_host() is outer


def test_new_threads_see_the_default_host():
    """Unless they are given a copy of the context."""
    with use(Host()) as host, ThreadPoolExecutor(1) as pool:
        assert pool.submit(current_host).result() is default_bindings.host
        context = contextvars.copy_context()
        assert pool.submit(context.run, current_host).result() is host
        pool.submit(context.run, op).result()
    assert calls(host) == 1


def test_tasks_inherit_the_host():
    """A task begun in a region stays with its host."""

    async def main():
        with use(Host()) as host:
            task = asyncio.create_task(work())
        return host, await task

    async def work():
        await asyncio.sleep(0)
        op()
        return current_host()

    host, seen = asyncio.run(main())
    assert seen is host
    assert calls(host) == 1


@pytest.mark.anyio
async def test_threads_of_anyio_inherit_the_host():
    """They are handed a copy of the context."""
    from anyio.to_thread import run_sync

    with use(Host()) as host:
        assert await run_sync(current_host) is host


def test_a_fresh_host_knows_nothing():
    """No figures, no subscribers, default settings."""
    with use(Host()) as host:
        op()
        assert list(stats()) == ["op"]
        host.subscribe(print)
    fresh = Host()
    assert fresh.stats() == {}
    assert fresh.bus.emitter(CallEnded) is None
    assert fresh.settings.enabled


@pytest.mark.parametrize("thing", [None, Host, "host", 3])
def test_only_a_host_can_be_used(thing):
    """Forgotten parentheses are told."""
    with pytest.raises(ConfigurationError, match=r"use\(agentperf.Host\(\)\)"), use(thing):
        pass


def test_the_default_host_used_explicitly():
    """It may be chosen inside another region, and counts there too."""
    host = default_bindings.host
    before = calls(host)
    with use(Host()), use(host):
        op()
        op()
    assert calls(host) == before + 2


def test_subscribing_takes_effect_at_the_next_call(fresh_host):
    """Pipelines are bound anew, in both directions."""
    seen = []
    op()
    stop = fresh_host.subscribe(seen.append)
    op()
    stop()
    op()
    assert len(seen) == 1
    assert calls(fresh_host) == 3


def test_configuring_takes_effect_at_the_next_call(fresh_host):
    """Off and on again."""
    for enabled in (True, False, True):
        fresh_host.configure(enabled=enabled)
        op()
    assert calls(fresh_host) == 2


def test_a_change_while_a_pipeline_is_being_bound_is_not_lost(fresh_host):
    """A subscriber that comes in the middle is told of the next call."""
    seen = []

    class Late(Spy):
        def bind(self, site, inner):
            if not seen:
                seen.append("bound")
                site.host.subscribe(seen.append)
            return super().bind(site, inner)

    function = Late()(timed("late")(lambda: None))
    function()
    function()
    assert [type(entry).__name__ for entry in seen] == ["str", "CallEnded"]


def test_opening_a_scope_binds_anew_once(fresh_host):
    """Who never opens a scope doesn't pay for it."""
    assert not fresh_host.bindings.minds_scopes
    op()
    with scope(tenant="a"):
        pass
    assert fresh_host.bindings.steps == {}
    op()
    with scope(tenant="b"):
        assert len(fresh_host.bindings.steps) == 1


def test_a_host_used_inside_a_scope_minds_it():
    """The scope was opened on another host, and holds on this one too."""
    with use(Host()), scope(tenant="a"), use(Host()) as inner:
        assert inner.bindings.minds_scopes


def test_threads_that_make_the_default_host_at_once_share_it(monkeypatch):
    """Neither is handed a host half made, and no call is counted on one that is lost."""
    bindings = Bindings()
    together = threading.Barrier(2)

    def make_host():
        together.wait(10)
        Host(bindings=bindings)

    bindings.make_host = make_host
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda _: bindings.host, range(2))
    assert first is second
    assert first.stats() == {}


def test_no_call_is_lost_while_pipelines_are_bound_anew(fresh_host):
    """Threads call on while subscribers come and go."""
    done = threading.Event()

    def call():
        for _ in range(1000):
            op()

    def come_and_go():
        while not done.is_set():
            fresh_host.subscribe(lambda event: None)()

    contexts = [contextvars.copy_context() for _ in range(3)]
    changing = threading.Thread(target=come_and_go)
    changing.start()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda context: context.run(call), contexts))
    done.set()
    changing.join()
    assert calls(fresh_host) == 3000


def test_bindings_without_a_host_say_so():
    """That is a mistake in the engine's use."""
    with pytest.raises(RuntimeError, match="no host"):
        _ = Bindings().host


def test_the_default_host_is_made_by_whoever_registered(monkeypatch):
    """The engine doesn't know how."""
    bindings = Bindings()
    monkeypatch.setattr(current, "default_bindings", bindings)
    current.register_default(lambda: Host(bindings=bindings))
    assert bindings.host.bindings is bindings
