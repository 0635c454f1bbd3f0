"""The decorator `bulkhead`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentperf._base.callables import is_decorated_bare
from agentperf._base.options import refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.hosting import Host
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site
from agentperf.errors import ConfigurationError
from agentperf.policies.bulkhead.layer import BulkheadLayer, Compartment
from agentperf.policies.bulkhead.options import BulkheadOptions, checked

_EXAMPLE = "bulkhead needs a number of places: @bulkhead(8) or @bulkhead(8, queue=20)"


@dataclass(frozen=True, eq=False)
class Bulkhead(Policy):
    """Bounds how many calls run at once; made by `bulkhead`."""

    kind = "bulkhead"
    hands_on = True

    options: BulkheadOptions

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the bulkhead in front of `inner`."""
        name = self.name or site.operation
        return BulkheadLayer(site, self.compartment(site.host), name).bound(inner)

    def compartment(self, host: Host) -> Compartment:
        """Return the places on `host`; functions that share the object share them."""
        return host.state(
            Compartment,
            lambda: Compartment(self.options),
            owners=(self,),
            name=self.name,
            options=self.options,
        )


def bulkhead(
    concurrency: int | None = None,
    *,
    queue: int | None = None,
    adaptive: bool | tuple[int, int] = False,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Bulkhead:
    """Bound how many calls run at once; further ones wait for a place, in the order they came.

    Threads, tasks and event loops share the places. A stream has its place until it ends. Who is
    cancelled while waiting, or whose call is, leaves nothing behind.

    Adaptive, the number of places is found out by how the upstream answers: a call that meets a
    rate limit, an overload or a timeout cuts it by 30 %; answers, or first items of streams, that
    take longer than usual lower it slowly; otherwise it grows slowly while it is made use of. (The
    gradient of Netflix's concurrency-limits, with multiplicative decrease on drops.)

    Args:
        concurrency: How many calls may run at once.
        queue: How many more may wait; 0 for none. By default any number waits, for as long as it
            takes: put a `timeout` above it to bound that.
        adaptive: True lets the number of places move between 1 and `concurrency`; two numbers are
            the least and the most, and `concurrency` is where it begins.
        name: Share one number of places among all policies that name it.
        enabled: False, or a callable that says False at a call, lets calls pass.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.bulkhead(8, queue=20)
        async def complete(prompt: str) -> str: ...

    Raises:
        ConfigurationError: An option is malformed.
        BulkheadFull: At a call, there is neither a place nor room to wait; or the call would hold
            up an event loop while it waits.
    """
    refuse_unknown(bulkhead, unknown)
    if concurrency is None or is_decorated_bare(concurrency):
        raise ConfigurationError(_EXAMPLE)
    return Bulkhead(checked(concurrency, queue, adaptive), name=name, enabled=enabled)
