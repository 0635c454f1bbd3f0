"""What can be said of retrying, checked once."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf._base.durations import Duration, seconds
from agentperf._base.options import Share, share, whole
from agentperf._engine.choosing import On, checked_on
from agentperf._engine.resuming import Resume, checked_resume
from agentperf.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class RetryOptions:
    """The options of one `retry`, in their final form; see `retry` for their meaning."""

    on: On | None
    attempts: int
    total: float | None
    per_attempt: float | None
    backoff: float
    max_backoff: float
    budget: float | None
    restart: bool
    resume: Resume | None

    @property
    def bounded(self) -> bool:
        """Whether a running attempt has to be watched."""
        return self.total is not None or self.per_attempt is not None


def checked(
    *,
    on: On | None,
    attempts: int,
    total: Duration | None,
    per_attempt: Duration | None,
    backoff: Duration,
    max_backoff: Duration,
    budget: Share | None,
    restart: bool,
    resume: Resume | None,
) -> RetryOptions:
    """Turn what the user wrote into options.

    Raises:
        ConfigurationError: Something is malformed or contradicts something else.
    """
    if not isinstance(restart, bool):
        raise ConfigurationError(f"restart={restart!r}: True or False, as in restart=True")
    checked_resume(resume)
    if resume is not None and restart:
        raise ConfigurationError(
            "resume= goes on where the stream broke, restart=True begins anew: give one of them"
        )
    options = RetryOptions(
        on=checked_on(on),
        attempts=whole("attempts", attempts, 3),
        total=None if total is None else seconds(total, "total"),
        per_attempt=None if per_attempt is None else seconds(per_attempt, "per_attempt"),
        backoff=seconds(backoff, "backoff", zero=True),
        max_backoff=seconds(max_backoff, "max_backoff", zero=True),
        budget=None if budget is None else share("budget", budget, 0.2, zero=True),
        restart=restart,
        resume=resume,
    )
    if options.total and options.per_attempt and options.per_attempt > options.total:
        raise ConfigurationError(
            f"per_attempt={per_attempt!r} is longer than total={total!r}; "
            'let several attempts fit, such as total="30s", per_attempt="10s"'
        )
    return options
