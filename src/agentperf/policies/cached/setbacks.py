"""Failures that are remembered, so that they needn't happen again at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentperf.errors import CallRejected
from agentperf.policies.cached.options import Negative


@dataclass(frozen=True, slots=True)
class Setback:
    """A computation that failed.

    Attributes:
        error: What it raised.
        stamp: The versions that the tags of the call had when it began.
        rests_until: Until when an old answer is given without another attempt.
        raised_until: Until when the error is raised again without another attempt.
    """

    error: Exception
    stamp: Any
    rests_until: float
    raised_until: float


def remembered_for(error: Exception, negative: Negative | None) -> float:
    """Return for how many seconds a failure is to be raised again; 0 for not at all.

    A refusal by a policy of ours says nothing about the answer, so it has to be named.
    """
    if negative is None:
        return 0.0
    if isinstance(negative, Mapping):
        kinds = (kind for kind in type(error).__mro__ if kind in negative)
        return next((negative[kind] for kind in kinds), 0.0)
    return 0.0 if isinstance(error, CallRejected) else negative
