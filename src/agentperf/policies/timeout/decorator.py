"""The decorator `timeout`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentperf._base.callables import is_decorated_bare
from agentperf._base.durations import Duration, seconds
from agentperf._base.options import refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site
from agentperf.errors import ConfigurationError
from agentperf.policies.timeout.core import Limits
from agentperf.policies.timeout.layer import TimeoutLayer

_EXAMPLE = 'timeout needs a time: @timeout("30s") or @timeout(first_item="10s", gap="5s")'


@dataclass(frozen=True, eq=False)
class Timeout(Policy):
    """Ends calls that take too long; made by `timeout`."""

    kind = "timeout"
    hands_on = True

    limits: Limits

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the limits around `inner`."""
        return TimeoutLayer(site, self.limits, self.name or site.operation).bound(inner)


def timeout(
    total: Duration | None = None,
    *,
    first_item: Duration | None = None,
    gap: Duration | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Timeout:
    """End calls and streams that take too long, with a `CallTimeout`.

    An asynchronous call is cancelled, and over when the error is raised. Nobody can end a
    synchronous call: it is made in a thread of its own, which goes on until the call ends by
    itself, and whose value is dropped. No more than 100 such threads run for one function; who
    finds none free waits for one, within the same time. Give a client that has a timeout of its own
    that one instead.

    Of timeouts inside each other the nearest ends first. A caller's own cancellation passes
    through as what it is.

    Args:
        total: How long a call may take. Of a stream the time inside its producer counts, not the
            pauses of its reader.
        first_item: How long a stream may take to its first item, from the call on. A call that
            gives no stream has to be over in that time too, unless its function has a parameter
            `stream` and it is not called with `stream=True`.
        gap: How long a stream may take for each further item.
        name: What errors and events call it; the operation by default.
        enabled: False, or a callable that says False at a call, lets calls take any time.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.timeout("2m", first_item="20s", gap="10s")
        async def answer(question: str) -> AsyncIterator[str]: ...

    Raises:
        ConfigurationError: An option is malformed, or no time is given.
        CallTimeout: At a call or an item, the time is up; `error.limit` says which.
    """
    refuse_unknown(timeout, unknown)
    if is_decorated_bare(total):
        raise ConfigurationError(_EXAMPLE)
    limits = Limits(
        total=None if total is None else seconds(total, "total"),
        first_item=None if first_item is None else seconds(first_item, "first_item"),
        gap=None if gap is None else seconds(gap, "gap"),
    )
    if limits == Limits():
        raise ConfigurationError(_EXAMPLE)
    for limit in ("first_item", "gap"):
        value = getattr(limits, limit)
        if value is not None and limits.total is not None and value > limits.total:
            raise ConfigurationError(
                f"{limit}={value:g} is longer than total={limits.total:g}; "
                'make it part of it, such as total="2m", first_item="20s", gap="10s"'
            )
    return Timeout(limits, name=name, enabled=enabled)
