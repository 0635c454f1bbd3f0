"""Retries: what is done again, and how long that may take."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from tests.benchmarks.probes.probe import Decorator, Probe, outcomes

TOTAL = 0.2
"""Seconds that all attempts may take together, where that is bounded."""


@dataclass(frozen=True)
class Retry:
    """How one library retries.

    Attributes:
        attempts: Makes up to three attempts, with next to no pause.
        bounded: Makes attempts for `TOTAL` seconds.
    """

    attempts: Decorator
    bounded: Decorator | None = None


# -- the probes -----------------------------------------------------------------------------------


async def failing_stream(retry: Retry) -> None:
    """Before its first item a stream can begin anew; after two, the reader has them already."""
    for handed_over, expected in ((0, [0, 1, 2]), (2, [0, 1])):
        runs = 0

        async def stream(fails_at: int = handed_over) -> AsyncIterator[int]:
            nonlocal runs
            runs += 1
            for item in range(3):
                if runs == 1 and item == fails_at:
                    raise ConnectionError
                yield item

        got: list[int] = []
        (ending,) = await outcomes(_read(retry.attempts(stream), got))
        failed = isinstance(ending, Exception)
        assert got == expected, f"failing after {handed_over}, the reader gets {got}"
        assert failed == (handed_over > 0), f"failing after {handed_over} ends with {ending!r}"


async def _read(stream: Callable[[], AsyncIterator[int]], got: list[int]) -> None:
    async for item in stream():
        got.append(item)  # noqa: PERF401 - what came before an error counts


async def total_time(retry: Retry) -> None:
    """One attempt takes five times as long as all of them may."""
    finished = False

    async def slow() -> None:
        nonlocal finished
        await asyncio.sleep(5 * TOTAL)
        finished = True

    assert retry.bounded is not None, "the probe asks for what the adapter doesn't have"
    await outcomes(retry.bounded(slow)())
    assert not finished, "the attempt ran to its end"


# -- the libraries --------------------------------------------------------------------------------


def _agentperf() -> Retry:
    import agentperf

    return Retry(agentperf.retry(attempts=3, backoff=0.01), agentperf.retry(total=TOTAL))


def _hyx() -> Retry:
    from hyx.retry import retry

    return Retry(retry(on=ConnectionError, attempts=3, backoff=0.01))


def _stamina() -> Retry:
    import stamina

    return Retry(
        stamina.retry(on=ConnectionError, attempts=3, wait_initial=0.01, wait_jitter=0),
        stamina.retry(on=ConnectionError, timeout=TOTAL),
    )


def _tenacity() -> Retry:
    import tenacity

    return Retry(
        tenacity.retry(stop=tenacity.stop_after_attempt(3), reraise=True),
        tenacity.retry(stop=tenacity.stop_after_delay(TOTAL), reraise=True),
    )


CONTESTANTS: dict[str, Callable[[], Retry]] = {
    "agentperf": _agentperf,
    "hyx": _hyx,
    "stamina": _stamina,
    "tenacity": _tenacity,
}

PROBES = (
    Probe(
        "a stream fails: done again before its first item, an error after two",
        failing_stream,
        ("hyx", "stamina", "tenacity"),
    ),
    Probe(
        "a total time shorter than one attempt: the attempt is ended",
        total_time,
        ("stamina", "tenacity"),
        real_time=True,
    ),
)
