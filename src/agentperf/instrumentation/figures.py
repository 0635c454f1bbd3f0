"""Writes an observed call into a host's figures."""

from __future__ import annotations

from agentperf._base.endings import Ending
from agentperf.abc.telemetry import FOLD_AT, Recorder


def count(recorder: Recorder, seconds: float, ending: Ending, error: BaseException | None) -> None:
    """Count a call that ended."""
    if ending is Ending.COMPLETED:
        recorder.durations.append(seconds)
        if len(recorder.durations) >= FOLD_AT:
            recorder.fold()
    elif ending is Ending.FAILED and error is not None:
        recorder.failed(seconds, error)
    else:
        recorder.dropped(seconds, ending)


def ending_of(error: BaseException) -> Ending:
    """Tell a failure from a caller that went away."""
    return Ending.FAILED if isinstance(error, Exception) else Ending.CANCELLED
