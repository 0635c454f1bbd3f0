"""What goes wrong while observing is noted once and never reaches the observed program."""

from __future__ import annotations

from agentperf._base.log import whisper

_noted: set[str] = set()


def swallowed(where: str, error: BaseException) -> None:
    """Note a fault of ours; only the first one at each place, at DEBUG."""
    if where not in _noted:
        _noted.add(where)
        whisper("instrumentation.fault", exc_info=error, where=where)


def said_once(where: str, **facts: object) -> None:
    """Note something worth knowing, once, at DEBUG."""
    if where not in _noted:
        _noted.add(where)
        whisper(where, **facts)
