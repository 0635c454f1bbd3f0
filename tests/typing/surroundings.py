"""What stands around decorated functions is typed as well; checked, never run."""

from __future__ import annotations

from collections.abc import Callable
from typing import assert_type

import agentperf
from agentperf import Host, Usage, events, testing
from agentperf.telemetry import OperationStats


@agentperf.timed
@agentperf.cached(ttl=60)
async def embed(text: str) -> list[float]:
    """Something to have a handle on."""
    return [float(len(text))]


def hosts() -> None:
    """`use` gives back the very host, and so does a fresh one."""
    with agentperf.use(Host()) as host:
        assert_type(host, Host)
        assert_type(host.stats(), dict[str, OperationStats])
    with testing.fresh_host(testing.FakeClock()) as fresh:
        assert_type(fresh, Host)
    assert_type(agentperf.stats(), dict[str, OperationStats])
    agentperf.use(Host)  # type: ignore[type-var]
    agentperf.use("host")  # type: ignore[type-var]


def handles() -> None:
    """Figures and caches by their types."""
    handle = agentperf.handle(embed)
    assert_type(handle.stats(), OperationStats)
    assert_type(handle.stats().own_usage, Usage)
    assert_type(handle.operation, str)
    assert_type(handle.cache.stats().hits, int)
    agentperf.handle(3)  # type: ignore[arg-type]


def regions() -> None:
    """Measuring, naming, recording."""
    with agentperf.measure("plan"), agentperf.scope(tenant="acme") as scope:
        assert_type(scope.tenant, str | None)
        agentperf.record(Usage(1, 2), cost_usd=0.5)
    agentperf.scope(tennant="acme")  # type: ignore[call-arg]


def subscribing(host: Host) -> None:
    """A receiver takes an event, and ending a subscription takes nothing."""
    stop = host.subscribe(print, events.CacheHit)
    assert_type(stop, Callable[[], None])
    host.subscribe(print, int)  # type: ignore[arg-type]
    with testing.recorded(events.CallEnded) as log:
        assert_type(log.of(events.CallEnded), list[events.CallEnded])


async def faults() -> None:
    """A faulty function has the type of the function."""
    broken = testing.faulty(embed, testing.fail(TimeoutError), testing.delay("2s"), repeat=True)
    assert_type(await broken("x"), list[float])
    await broken(1)  # type: ignore[arg-type]
    testing.fail("no")  # type: ignore[arg-type]
