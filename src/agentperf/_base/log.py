"""One quiet log line: structured, silent until the application configures logging."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, MutableMapping
from typing import Any


def _spelled_out(_: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """Put the facts into the text too: plain logging shows nothing else."""
    facts = [f"{name}={value}" for name, value in event.items() if name not in _NOT_FACTS]
    event["event"] = " ".join([str(event["event"]), *facts])
    return event


_NOT_FACTS = ("event", "exc_info")


@functools.cache
def _logger() -> Any:
    import logging

    import structlog

    # structlog's own defaults print to stdout; a library must go through the application's logging.
    logger = logging.getLogger("agentperf")
    logger.addHandler(logging.NullHandler())
    return structlog.wrap_logger(
        logger,
        processors=[
            structlog.stdlib.filter_by_level,
            _spelled_out,
            structlog.stdlib.render_to_log_kwargs,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def warn(event: str, **facts: object) -> None:
    """Log a warning; `event` is a dotted name such as `call.slow`, `facts` are plain values."""
    _say(event, facts)


def fault(event: str, error: BaseException, **facts: object) -> None:
    """Log a fault of our own that was swallowed so that the user's call could go on."""
    _say(event, {"exc_info": error, **facts})


def note(event: str, **facts: object) -> None:
    """Log at INFO: good news, such as that something works again."""
    _say(event, facts, "info")


def whisper(event: str, **facts: object) -> None:
    """Log at DEBUG: what only somebody who looks for it wants to know."""
    _say(event, facts, "debug")


def _say(event: str, facts: dict[str, object], level: str = "warning") -> None:
    # A filter of the application may raise, and the user's call must not see it.
    with contextlib.suppress(Exception):
        getattr(_logger(), level)(event, **facts)
