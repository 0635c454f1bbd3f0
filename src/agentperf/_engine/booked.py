"""What instrumented calls have booked by themselves, so that noting it once more counts nothing."""

from __future__ import annotations

from contextvars import ContextVar

from agentperf._engine.frames import Frame
from agentperf.abc.telemetry import Books
from agentperf.usage import Usage

_KEPT = 16
"""So many calls may lie between one that was booked and its noting."""

_Booked = tuple[tuple[Books | None, Usage], ...]
_booked: ContextVar[_Booked] = ContextVar("agentperf.booked", default=())


def book(frame: Frame, usage: Usage) -> None:
    """Remember, for this context, what an instrumented call inside of `frame` has booked."""
    _booked.set((*_booked.get(), (frame.owner, usage))[-_KEPT:])


def beyond_booked(frame: Frame, usage: Usage) -> Usage | None:
    """Return what a usage noted in `frame` adds to what was booked; None where that is nothing.

    A program that runs instrumented may note its calls' tokens too. Tokens that are just those of a
    call which the same operation made before are taken for it, once; a cost that nobody knew then
    is still news.
    """
    known = _booked.get()
    for at in range(len(known) - 1, -1, -1):
        operation, one = known[at]
        if operation is frame.owner and _tokens(one) == _tokens(usage):
            _booked.set(known[:at] + known[at + 1 :])
            is_news = one.cost_usd is None and usage.cost_usd is not None
            return Usage(cost_usd=usage.cost_usd) if is_news else None
    return usage


def _tokens(usage: Usage) -> tuple[int, int]:
    return usage.input_tokens, usage.output_tokens
