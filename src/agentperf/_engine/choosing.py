"""Which errors a policy is for: `on=`, as users say it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from agentperf._base import log
from agentperf._base.callables import refuse_unfit
from agentperf.errors import ConfigurationError

Predicate = Callable[[Exception], bool]
On = type[Exception] | tuple[type[Exception], ...] | Predicate


def checked_on(on: object) -> On | None:
    """Bring `on=` into its final form.

    Raises:
        ConfigurationError: It is nothing that could choose errors.
    """
    if on is None:
        return None
    kinds = on if isinstance(on, tuple) else (on,)
    if kinds and all(isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds):
        return on  # type: ignore[return-value]
    if callable(on) and not isinstance(on, type):
        refuse_unfit("on", on, "on=lambda error: error.status_code == 503", 1)
        return cast(Predicate, on)
    raise ConfigurationError(
        f"on={on!r}: an exception type, a tuple of them such as on=(ConnectionError, TimeoutError),"
        " or a callable such as on=lambda error: error.status_code == 503"
    )


def chosen(on: On, error: Exception, operation: str = "") -> bool:
    """Whether an error is one of those; a callable that fails chooses none.

    Args:
        on: Those.
        error: The error.
        operation: The call that failed, for the log; empty where a rule of `judge` is asked.
    """
    if isinstance(on, type | tuple):
        return isinstance(error, on)
    try:
        return bool(on(error))
    except Exception as fault:  # noqa: BLE001 - the error at hand is what the caller must see
        log.fault("policy.on_failed", fault, operation=operation)
        return False
