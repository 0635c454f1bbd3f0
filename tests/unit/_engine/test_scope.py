"""Who a call is for."""

from __future__ import annotations

import asyncio

import pytest

from agentperf import ConfigurationError, scope
from agentperf._engine.scope import NOBODY, Scope, active


def test_scopes_nest(fresh_host):
    """What an inner scope leaves out comes from the outer one."""
    assert active.get() is NOBODY
    with scope(tenant="acme", user="anna") as outer:
        assert outer == active.get() == Scope("acme", "anna")
        with scope(user="bob", session="s1") as inner:
            assert inner == Scope("acme", "bob", "s1")
        assert active.get() is outer
    assert active.get() is NOBODY


def test_tasks_inherit_the_scope(fresh_host):
    """A task begun inside carries it along."""

    async def main():
        with scope(user="anna"):
            task = asyncio.create_task(look())
        return await task

    async def look():
        return active.get()

    assert asyncio.run(main()) == Scope(user="anna")


@pytest.mark.parametrize(
    "wrong", [{}, {"tenant": ""}, {"user": 3}, {"session": b"x"}, {"tenant": None}]
)
def test_bad_scopes(fresh_host, wrong):
    """Nobody, or something other than text."""
    with pytest.raises(ConfigurationError, match=r"tenant=|user=|session="), scope(**wrong):
        pass
