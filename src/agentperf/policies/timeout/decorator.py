"""The decorator `timeout`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from agentperf._base.callables import is_decorated_bare
from agentperf._base.durations import Duration, seconds
from agentperf._base.options import refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site, Target
from agentperf.errors import ConfigurationError
from agentperf.policies.timeout.client import ClientTimeout
from agentperf.policies.timeout.core import Limits
from agentperf.policies.timeout.layer import TimeoutLayer

_EXAMPLE = 'timeout needs a time: @timeout("30s") or @timeout(first_item="10s", gap="5s")'


@dataclass(frozen=True, eq=False)
class Timeout(Policy):
    """Ends calls that take too long; made by `timeout`."""

    kind = "timeout"
    hands_on = True

    limits: Limits
    arg: str | None = None

    def check(self, target: Target) -> None:
        """Refuse a function that has no such parameter, or whose items nobody would watch."""
        if self.arg is None:
            return
        if not ClientTimeout(target.signature, self.arg).is_there:
            raise ConfigurationError(
                f"arg={self.arg!r}: {target.operation} has no such parameter to hand the seconds "
                'on to its client, as in `def ask(prompt, timeout=None)` with arg="timeout"'
            )
        if not target.shape.is_async and self.limits != Limits(self.limits.total):
            raise ConfigurationError(
                f"{target.operation} is synchronous and its client keeps the time (arg=), so "
                'nobody watches first_item= and gap=: give total= alone, as in timeout("30s", '
                'arg="timeout"), or leave out arg='
            )

    def bind(self, site: Site, inner: Step) -> Step:
        """Put the limits around `inner`."""
        layer = TimeoutLayer(site, self.limits, self.name or site.operation)
        if self.arg is None:
            return layer.bound(inner)
        telling = layer.telling(self.arg, inner)
        return layer.bound(telling) if site.driver.is_async else telling


def timeout(
    total: Duration | None = None,
    *,
    first_item: Duration | None = None,
    gap: Duration | None = None,
    arg: str | None = None,
    name: str | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Timeout:
    """End calls and streams that take too long, with a `CallTimeout`.

    An asynchronous call is cancelled, and over when the error is raised. Nobody can end a
    synchronous call: it is made in a thread of its own, which goes on until the call ends by
    itself, and whose value is dropped. No more than 100 such threads run for one function; who
    finds none free waits for one, within the same time. With `arg=` the client of a synchronous
    function keeps the time instead, and there is no thread.

    Of timeouts inside each other the nearest ends first. A caller's own cancellation passes
    through as what it is.

    Args:
        total: How long a call may take. Of a stream the time inside its producer counts, not the
            pauses of its reader.
        first_item: How long a stream may take to its first item, from the call on. A call that
            gives no stream has to be over in that time too, unless its function has a parameter
            `stream` and it is not called with `stream=True`.
        gap: How long a stream may take for each further item.
        arg: The parameter by which the function takes a timeout for its client, in seconds. It is
            set to `total`, or to what calls around this one have left, unless the caller asks for
            less or gives something else than a number. A synchronous call is then made where its
            caller is; it ends when the client gives up, with the client's own error.
        name: What errors and events call it; the operation by default.
        enabled: False, or a callable that says False at a call, lets calls take any time.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.timeout("2m", first_item="20s", gap="10s")
        async def answer(question: str) -> AsyncIterator[str]: ...

    Raises:
        ConfigurationError: An option is malformed, or no time is given; at decoration, there is no
            such parameter.
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
    if arg is not None and (not isinstance(arg, str) or not arg or limits.total is None):
        raise ConfigurationError(
            f'arg={arg!r}: the name of a parameter, beside total=, as in timeout("30s", '
            'arg="timeout")'
        )
    for limit in ("first_item", "gap"):
        value = getattr(limits, limit)
        if value is not None and limits.total is not None and value > limits.total:
            raise ConfigurationError(
                f"{limit}={value:g} is longer than total={limits.total:g}; "
                'make it part of it, such as total="2m", first_item="20s", gap="10s"'
            )
    return Timeout(limits, arg, name=name, enabled=enabled)
