"""When to try again, and after how long."""

from __future__ import annotations

import random
import threading

from agentperf._engine.choosing import chosen
from agentperf._engine.classify import Verdict
from agentperf.policies.retry.options import RetryOptions


class Budget:
    """Bounds retries to a share of calls, so that they can't multiply the load on an upstream.

    Every call that succeeds earns `share` of a retry, every retry spends one; `reserve` of them are
    at hand at the start and saved at most. (After the retry throttling of gRPC, proposal A6.)
    """

    reserve = 10.0

    def __init__(self, share: float | None) -> None:
        self._share = share
        self._left = self.reserve
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Note a call that succeeded."""
        if self._left < self.reserve and self._share:
            with self._lock:
                self._left = min(self.reserve, self._left + self._share)

    def spend(self) -> bool:
        """Take a retry out of the budget; False when there is none left."""
        if self._share is None:
            return True
        with self._lock:
            if self._left < 1 or not self._share:
                return False
            self._left -= 1
            return True

    @property
    def left(self) -> float:
        """How many retries are left now."""
        return self._left


def should_retry(error: Exception, verdict: Verdict, options: RetryOptions) -> bool:
    """Whether an error is one to retry: as `on=` says, else as the classifier does."""
    return verdict.retryable if options.on is None else chosen(options.on, error)


def pause(attempt: int, verdict: Verdict, options: RetryOptions) -> float:
    """Return the seconds to wait after the given attempt, counted from 1.

    What the upstream asked for counts exactly; else exponential backoff with full jitter. (Brooker,
    "Exponential Backoff And Jitter", AWS Architecture Blog, 2015.)
    """
    if verdict.wait is not None:
        return verdict.wait
    return random.uniform(0, min(options.max_backoff, options.backoff * 2 ** (attempt - 1)))
