"""A server that is killed, frozen and started again while threads or tasks go on calling."""

from __future__ import annotations

import time

import pytest

from agentperf.testing import fresh_host, recorded
from tests.limited import LATE, Load, told, until
from tests.services import running

TIMEOUT = 2.0
"""Seconds that a call waits for a frozen server here: more than a slow machine takes."""


@pytest.fixture
def server():
    """Run a server that the test may maltreat."""
    with running("valkey") as service:
        yield service


def killed(server):
    """Kill it; return what brings it back."""
    server.kill()
    return server.start


def frozen(server):
    """Freeze it; return what brings it back."""
    server.freeze()
    return server.thaw


@pytest.mark.parametrize("fault", [killed, frozen])
@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_every_call_goes_through_and_the_limit_holds(server, kind, fault):
    """No call is lost or held up, and each change is told once."""
    address = (
        f"redis://127.0.0.1:{server.port}?socket_timeout={TIMEOUT}&socket_connect_timeout={TIMEOUT}"
    )
    with fresh_host() as host, recorded() as log:
        with Load(address, kind, host, "local") as load:
            for _ in range(2):
                load.goes_on()
                bring_back = fault(server)
                until(lambda: told(log)[-1:] == ["down"])
                load.goes_on()
                bring_back()
                until(lambda: told(log)[-1:] == ["up"])
                load.goes_on()
        load.check(len(told(log)), TIMEOUT)
        assert load.refused == []
        assert told(log) == ["down", "up"] * 2


@pytest.mark.parametrize("kind", ["threads", "tasks"])
def test_closed_lets_nobody_in_meanwhile(server, kind):
    """From the moment that is told of as down until it is up."""
    address = (
        f"redis://127.0.0.1:{server.port}?socket_timeout={TIMEOUT}&socket_connect_timeout={TIMEOUT}"
    )
    with fresh_host() as host, recorded() as log:
        with Load(address, kind, host, "closed") as load:
            load.goes_on()
            server.kill()
            until(lambda: told(log) == ["down"])
            time.sleep(LATE / 3)  # those who were let in before it was killed
            before = len(load.let_in)
            load.goes_on(20)
            assert len(load.let_in) == before
            server.start()
            until(lambda: told(log) == ["down", "up"])
            load.goes_on()
        load.check(2, TIMEOUT)
        assert load.refused
        assert told(log) == ["down", "up"]
