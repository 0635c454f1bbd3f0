"""Which failures are answered by something else."""

from __future__ import annotations

from agentperf._base.verdicts import Fault, Remedy, Verdict
from agentperf._engine.choosing import On, checked_on, chosen
from agentperf.errors import CallRejected, CallTimeout, ConfigurationError, ContextWindowExceeded

Failures = On | Remedy | Fault | tuple[type[Exception] | Remedy | Fault, ...]
"""Failures, as users name them: what the classifier says of them, their types, or a predicate."""

_UPSTREAM = (Fault.QUOTA, Fault.OVERLOAD, Fault.PROVIDER, Fault.NETWORK)
_HELPFUL = (Remedy.ELSEWHERE, Remedy.LARGER_CONTEXT)


def checked_failures(on: Failures | None) -> Failures | None:
    """Check what the user wrote for `on=`.

    Raises:
        ConfigurationError: It is nothing that could choose failures.
    """
    if callable(on) and not isinstance(on, type):
        checked_on(on)
        return on
    kinds = on if isinstance(on, tuple) else () if on is None else (on,)
    if on is None or (kinds and all(map(_names_failures, kinds))):
        return on
    raise ConfigurationError(
        f"on={on!r}: an exception type, a Fault such as on=agentperf.Fault.OVERLOAD, a Remedy such "
        "as on=agentperf.Remedy.LARGER_CONTEXT, a tuple of these, or a callable such as "
        "on=lambda error: error.status_code == 503"
    )


def _names_failures(kind: object) -> bool:
    if isinstance(kind, type):
        return issubclass(kind, Exception)
    return isinstance(kind, Remedy | Fault)


def falls_back(
    error: Exception, verdict: Verdict, on: Failures | None, operation: str = ""
) -> bool:
    """Whether an error is one that something else may answer: as `on=` says, else by whose fault.

    The caller's own mistakes would be mistakes anywhere, and nobody knows what an unknown error
    means.
    """
    if on is not None:
        return _is_one_of(on, error, verdict, operation)
    if isinstance(error, CallRejected | CallTimeout | ContextWindowExceeded):
        return True
    return verdict.fault in _UPSTREAM or verdict.remedy in _HELPFUL


def _is_one_of(on: Failures, error: Exception, verdict: Verdict, operation: str) -> bool:
    if isinstance(on, tuple):
        return any(_is_one_of(kind, error, verdict, operation) for kind in on)
    if isinstance(on, Remedy | Fault):
        return on in (verdict.remedy, verdict.fault)
    return chosen(on, error, operation)
