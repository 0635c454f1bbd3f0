"""When to try again, and after how long."""

from __future__ import annotations

import random

from agentperf._base.verdicts import Verdict
from agentperf._engine.choosing import chosen
from agentperf.policies.retry.options import RetryOptions


def should_retry(
    error: Exception, verdict: Verdict, options: RetryOptions, operation: str = ""
) -> bool:
    """Whether an error is one to retry: as `on=` says, else as the classifier does."""
    return verdict.retryable if options.on is None else chosen(options.on, error, operation)


def pause(attempt: int, verdict: Verdict, options: RetryOptions) -> float:
    """Return the seconds to wait after the given attempt, counted from 1.

    What the upstream asked for counts exactly; else exponential backoff with full jitter. (Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
    """
    if verdict.wait is not None:
        return verdict.wait
    return random.uniform(0, min(options.max_backoff, options.backoff * 2 ** (attempt - 1)))
