"""Measuring a region instead of a function, and noting what a call used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from agentperf._base.endings import Ending
from agentperf._engine.booked import beyond_booked
from agentperf._engine.current import current_host
from agentperf._engine.frames import Frame, current_frame, leave
from agentperf.errors import ConfigurationError
from agentperf.policies.timed.core import CallMeter
from agentperf.usage import Usage, checked


@contextlib.contextmanager
def measure(name: str) -> Iterator[None]:
    """Count and measure a region of code as one call of the operation `name`.

    Works in synchronous and asynchronous code alike; operations inside count as nested in it.

    Example:
        with agentperf.measure("plan"):
            steps = plan(goal)

    Raises:
        ConfigurationError: The name is not text.
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f'measure({name!r}): a name is needed, measure("plan")')
    host = current_host()
    if not host.settings.enabled:
        yield
        return
    meter = CallMeter(host, name, None)
    frame = Frame(meter.frame.recorders[0], current_frame.get())
    note = meter.started((), {}, frame) if meter.attentive else None
    entered = current_frame.set(frame if note is None else note.frame)
    start = host.clock.now()
    try:
        yield
    except Exception as error:
        meter.ended(start, Ending.FAILED, error, note)
        raise
    except BaseException as error:
        meter.ended(start, Ending.CANCELLED, error, note)
        raise
    else:
        meter.ended(start, Ending.COMPLETED, None, note)
    finally:
        leave(entered)


def record(
    usage: object = None,
    /,
    *,
    input_tokens: int = 0,
    output_tokens: int = 0,
    cached_tokens: int = 0,
    cost_usd: float | None = None,
) -> None:
    """Note what the running operation used, such as the tokens of a model's answer.

    It belongs to the innermost timed call or measured region; those around it show it as inclusive.
    Outside of any it is in no figures, but a budget counts it. What an instrumented call has booked
    by itself already is not counted again.

    Args:
        usage: All at once: a `Usage`, a client's reply, or its usage; None for nothing, as in most
            chunks of a stream. Or name the parts:
        input_tokens: Tokens of the prompt.
        output_tokens: Tokens of the answer.
        cached_tokens: The part of the input read from the provider's prompt cache.
        cost_usd: Money in US dollars, where known.

    Example:
        agentperf.record(reply.usage, cost_usd=cost(reply.usage, reply.model))

    Raises:
        ConfigurationError: A figure is no number or negative, or `usage` says nothing of tokens.
    """
    spent = checked(Usage(input_tokens, output_tokens, cached_tokens, cost_usd))
    if usage is not None:
        spent = checked(Usage.of(usage)) + spent
    frame = current_frame.get()
    if frame is not None and (news := beyond_booked(frame, spent)) is not None:
        frame.used(news)
