"""Which failures are answered by something else."""

from __future__ import annotations

from agentperf._base.verdicts import Fault, Remedy, Verdict
from agentperf._engine.choosing import On, chosen
from agentperf.errors import CallRejected, CallTimeout, ContextWindowExceeded

_UPSTREAM = (Fault.QUOTA, Fault.OVERLOAD, Fault.PROVIDER, Fault.NETWORK)
_HELPFUL = (Remedy.ELSEWHERE, Remedy.LARGER_CONTEXT)


def falls_back(error: Exception, verdict: Verdict, on: On | None) -> bool:
    """Whether an error is one that something else may answer: as `on=` says, else by whose fault.

    The caller's own mistakes would be mistakes anywhere, and nobody knows what an unknown error
    means.
    """
    if on is not None:
        return chosen(on, error)
    if isinstance(error, CallRejected | CallTimeout | ContextWindowExceeded):
        return True
    return verdict.fault in _UPSTREAM or verdict.remedy in _HELPFUL
