"""The decorator `timed`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, overload

from agentperf._base.callables import is_decorated_bare
from agentperf._base.durations import Duration, seconds
from agentperf._base.options import refuse_unknown
from agentperf._engine.bindings import Step
from agentperf._engine.policy import Policy
from agentperf._engine.site import Site
from agentperf.errors import ConfigurationError
from agentperf.policies.timed.core import CallMeter, Describe

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class Timed(Policy):
    """Counts and measures calls; made by `timed`."""

    kind = "timed"
    names_operation = True

    slow: float | None = None
    memory: bool = False
    attributes: Mapping[str, object] | Describe | None = None

    def bind(self, site: Site, inner: Step) -> Step:
        """Measure `inner` under this policy's operation."""
        meter = CallMeter(
            site.host,
            self.name or site.target.operation,
            site.token,
            covers=site.target.covers,
            slow=self.slow,
            memory=self.memory,
            attributes=self.attributes,
        )
        return site.driver.measured(meter, inner, site.host.clock.now)


@overload
def timed(function: F, /) -> F: ...
@overload
def timed(
    name: str | None = None,
    *,
    slow: Duration | None = None,
    memory: bool = False,
    attributes: Mapping[str, object] | Describe | None = None,
    enabled: bool | Callable[[], bool] = True,
) -> Timed: ...
def timed(
    name: Any = None,
    *,
    slow: Duration | None = None,
    memory: bool = False,
    attributes: Mapping[str, object] | Describe | None = None,
    enabled: bool | Callable[[], bool] = True,
    **unknown: object,
) -> Any:
    """Count and measure calls: how many, how long, how they ended; for streams also the first item.

    Counts are exact. Latencies go into a histogram whose quantiles are at most 1.1 % off. A
    stream's call ends with the stream, and the time that its consumer takes between items doesn't
    count.

    Args:
        name: The operation to count under; the function's `module.qualname` by default.
        slow: Log a warning, and tell subscribers of `SlowCall`, when a call takes longer.
        memory: Note by how much Python's memory grew. Slows the program down: it starts
            `tracemalloc`.
        attributes: Facts about a call for its events: a mapping, or a callable over the call's
            arguments that returns one. Keep the values few.
        enabled: False, or a callable that says False at a call, leaves calls uncounted.
        **unknown: Refused, with what was probably meant.

    Example:
        @agentperf.timed(slow="2s")
        async def answer(question: str) -> str: ...

        print(agentperf.handle(answer).stats())

    Raises:
        ConfigurationError: An option is malformed.
    """
    refuse_unknown(timed, unknown)
    if is_decorated_bare(name):
        return Timed()(name)
    if not isinstance(memory, bool):
        raise ConfigurationError(f"memory={memory!r}: True or False, as in memory=True")
    if not (attributes is None or callable(attributes) or isinstance(attributes, Mapping)):
        raise ConfigurationError(
            f'attributes={attributes!r}: a mapping such as {{"model": "small"}}, or a callable '
            'such as lambda question, **_: {"kind": question.kind}'
        )
    return Timed(
        slow=None if slow is None else seconds(slow, "slow"),
        memory=memory,
        attributes=attributes,
        name=name,
        enabled=enabled,
    )
