"""Tenants share no answer, no entry, no flight."""

from __future__ import annotations

import anyio
import pytest

from agentperf import Host, cached, handle, scope, use
from agentperf.policies.cached.partition import partitioned
from tests.unit.policies.cached.calls import COLOURS, Counted, figures, outcome

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("colour", COLOURS)
async def test_tenants_share_no_answer(fresh_host, colour):
    """Each computes its own, also for the same question."""
    source = Counted(lambda _: [source.calls])
    f = cached(source.function(colour))
    answers = {}
    for tenant in ("a", "b", "a", "b"):
        with scope(tenant=tenant):
            answers.setdefault(tenant, []).append(await outcome(f()))
    assert answers == {"a": [[1], [1]], "b": [[2], [2]]}
    assert handle(f).cache.stats().size == 2


async def test_tenants_share_no_flight(fresh_host):
    """Two that ask at the same time wait for two computations."""
    calls = []

    @cached
    async def f():
        calls.append(1)
        await anyio.wait_all_tasks_blocked()
        return len(calls)

    async def ask(tenant):
        with scope(tenant=tenant):
            await f()

    async with anyio.create_task_group() as group:
        for tenant in ("a", "b", "a", "b"):
            group.start_soon(ask, tenant)
    assert len(calls) == 2
    assert figures(f) == (0, 2, 2)


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_scope_that_is_opened_late(fresh_host, colour):
    """What was kept before belongs to nobody: inside it is not seen, outside it is there again."""
    source = Counted(lambda _: [source.calls])
    f = cached(source.function(colour))
    assert await outcome(f()) == [1]
    with scope(tenant="a"):
        assert await outcome(f()) == [2]
        assert handle(f).cache.peek() == ((2,) if f.__name__.endswith("generator") else [2])
    assert await outcome(f()) == [1]
    assert figures(f) == (1, 2, 0)


@pytest.mark.parametrize(
    ("by", "shared"),
    [
        ("auto", {"user", "session"}),
        ("tenant", {"user", "session"}),
        ("user", {"session"}),
        ("session", set()),
        ("none", {"tenant", "user", "session"}),
    ],
)
async def test_how_finely_answers_are_kept_apart(fresh_host, by, shared):
    """By tenant unless said otherwise; what is finer includes what is coarser."""
    here = {"tenant": "t", "user": "u", "session": "s"}
    for changed in here:
        source = Counted()
        f = cached(scope=by)(source.function("sync"))
        with scope(**here):
            f()
        with scope(**{**here, changed: "another"}):
            f()
        assert (source.calls == 1) == (changed in shared), changed


async def test_scopes_nest(fresh_host):
    """What an inner one leaves out comes from the outer one; leaving it brings that back."""
    source = Counted()
    f = cached(scope="user")(source.function("sync"))
    with scope(tenant="a"):
        f()
        with scope(user="u"):
            f()
            f()
        with scope(tenant="b"):
            f()
        f()
    assert source.calls == 3


async def test_a_host_that_is_used_within_a_scope_minds_it(fresh_host):
    """The scope goes along with the context, whichever host is current."""
    source = Counted()
    f = cached(source.function("sync"))
    with scope(tenant="a"), use(Host(clock=fresh_host.clock)) as inner:
        f()
        with scope(tenant="b"):
            f()
        assert inner.bindings.minds_scopes
    assert source.calls == 2


async def test_invalidation_keeps_to_its_scope(fresh_host):
    """A tenant removes its own entry; clearing removes everybody's."""
    f = cached(Counted().function("sync"))
    for tenant in ("a", "b"):
        with scope(tenant=tenant):
            f()
    with scope(tenant="a"):
        assert handle(f).cache.invalidate()
        assert not handle(f).cache.invalidate()
    with scope(tenant="b"):
        assert handle(f).cache.peek() == [0]
    assert handle(f).cache.clear() == 1


async def test_no_argument_spells_another_tenants_key(fresh_host):
    """A call without a scope can't be made to look like one within it."""
    f = cached(lambda a, b, c=None: [a, b, c])
    with scope(tenant="acme"):
        f("list", "x", "y")
    assert f("scope", "acme", ["x", "y"]) == ["scope", "acme", ["x", "y"]]
    inside = partitioned(lambda args, kwargs: args, "auto")
    with scope(tenant="acme"):
        key = inside(("x",), {})
    assert key != ("scope", "acme", ("x",))
    assert inside(("x",), {}) == ("x",)
