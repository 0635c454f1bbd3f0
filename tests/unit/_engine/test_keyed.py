"""Keys of calls by their arguments and by whom they are for."""

from __future__ import annotations

import pytest

import agentperf
from agentperf import ConfigurationError, RateLimitExceeded
from agentperf.testing import FakeClock, fresh_host


@pytest.fixture(autouse=True)
def host():
    """A fresh host."""
    with fresh_host(FakeClock()) as host:
        yield host


def allowed(function, *args):
    """Tell whether a call is let in."""
    try:
        function(*args)
    except RateLimitExceeded:
        return False
    return True


def test_tenants_have_limits_of_their_own():
    """Whom the scope names decides; nobody is somebody too."""
    work = agentperf.rate_limited("1/min", by="scope.tenant", on_limit="raise")(lambda: None)
    for name in ("acme", "umbrella"):
        with agentperf.scope(tenant=name):
            assert [allowed(work), allowed(work)] == [True, False]
    assert [allowed(work), allowed(work)] == [True, False]


def test_parts_of_the_scope_stand_beside_arguments():
    """Both count, in any order."""
    by = ("model", "scope.tenant", "scope.user")
    work = agentperf.rate_limited("1/min", by=by, on_limit="raise")(lambda model: None)
    with agentperf.scope(tenant="acme"):
        assert [allowed(work, one) for one in "aab"] == [True, False, True]
        with agentperf.scope(user="anna"):
            assert [allowed(work, one) for one in "aab"] == [True, False, True]


def test_a_breaker_for_each_tenant():
    """What `by=` means is the same for every policy."""
    work = agentperf.circuit_breaker(by="scope.tenant", minimum_calls=1, window=1)(lambda: 1 / 0)
    for name in ("acme", "umbrella"):
        with agentperf.scope(tenant=name):
            with pytest.raises(ZeroDivisionError):
                work()
            with pytest.raises(agentperf.CircuitOpen):
                work()


@pytest.mark.parametrize("by", ["scope.tenat", ("model", "scope."), "scope.tenant.name"])
def test_a_part_that_the_scope_does_not_have(by):
    """The error names those there are."""
    with pytest.raises(ConfigurationError, match=r'by=.*"scope\.tenant", "scope\.user"'):
        agentperf.rate_limited("1/s", by=by)(lambda model: None)
