"""The order in which policies stand around a function, and what goes wrong in other orders."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

from agentperf._engine.site import Bindable
from agentperf.errors import OrderWarning

CANONICAL = (
    "timed",
    "budgeted",
    "fallback",
    "cached",
    "compress_prompt",
    "batched",
    "hedged",
    "retry",
    "bulkhead",
    "rate_limited",
    "circuit_breaker",
    "timeout",
)
"""Kinds of policies, outermost first."""

_HARM = {
    ("rate_limited", "retry"): "one permit would pay for all attempts, and the limit be exceeded",
    ("rate_limited", "cached"): "answers from the cache would use up the limit",
    (
        "rate_limited",
        "bulkhead",
    ): "calls with a permit would wait for a place, and come all at once",
    ("bulkhead", "retry"): "a place would be held while nothing runs, between the attempts",
    ("bulkhead", "cached"): "answers from the cache would take up places",
    ("retry", "fallback"): "the fallback would answer at the first failure, and nothing be retried",
    ("circuit_breaker", "fallback"): "the breaker would not see what the fallback answers for",
    ("cached", "fallback"): "what answered instead would be kept for what should have",
    ("rate_limited", "compress_prompt"): "the limit would count tokens that are never sent",
    ("rate_limited", "hedged"): "one permit would pay for all attempts, and the limit be exceeded",
    ("bulkhead", "hedged"): "one place would stand for all attempts",
    ("circuit_breaker", "hedged"): "the breaker would see only the attempt that won",
    ("hedged", "cached"): "both attempts would share one computation of the cache",
    ("circuit_breaker", "retry"): "the breaker would see only the last of several failures",
    ("circuit_breaker", "cached"): "answers from the cache would be refused while it is open",
    ("retry", "cached"): "every attempt would go through the cache again",
    ("compress_prompt", "cached"): "prompts would be compressed for answers that are there already",
}
"""Pairs of kinds that must not stand outside and inside of each other, and why."""


def place(kind: str) -> int:
    """Return where a kind stands in the canonical order; what is unknown stands innermost."""
    return CANONICAL.index(kind) if kind in CANONICAL else len(CANONICAL)


def harm(policies: Sequence[Bindable]) -> str | None:
    """Say what is wrong with an order, and how to mend it; None where nothing is.

    Args:
        policies: Outermost first.
    """
    for at, outer in enumerate(policies):
        for inner in policies[at + 1 :]:
            if (why := _HARM.get((outer.kind, inner.kind))) is not None:
                order = sorted((policy.kind for policy in policies), key=place)
                written = " above ".join(f"@{kind}" for kind in order)
                return (
                    f"{outer.kind} stands above {inner.kind}: {why}. Write {written}; "
                    f"the whole order, from the outside: {', '.join(CANONICAL)}"
                )
    return None


def warn_of_harm(
    operation: str, policies: Sequence[Bindable], beneath: Sequence[Bindable] = ()
) -> None:
    """Warn, with the fix, at the line that decorates: once of each function.

    Args:
        operation: What the function is called.
        policies: Outermost first.
        beneath: Those of them that were around it before, and warned of where they do harm.
    """
    if harm(beneath) is None and (message := harm(policies)) is not None:
        warnings.warn(f"{operation}: {message}", OrderWarning, stacklevel=_outside())


def _outside() -> int:
    """Count the frames between `warn_of_harm` and the first that is not agentperf's own."""
    level, frame = 2, sys._getframe(2)  # noqa: SLF001 - the documented way to a caller's frame
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("agentperf."):
        level, frame = level + 1, frame.f_back
    return level
