"""The clock that runs at the scale of the demo."""

from __future__ import annotations

import asyncio

import pytest

from agentperf.demo.clock import ScaledClock


def test_seconds_pass_at_the_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a real second is five seconds at a scale of 0.1, in both readings."""
    monkeypatch.setattr("time.monotonic", lambda: 0.5)
    monkeypatch.setattr("time.monotonic_ns", lambda: 500_000_000)
    clock = ScaledClock(0.1)
    assert clock.now() == pytest.approx(5)
    assert clock.now_ns() == pytest.approx(5_000_000_000)


def test_who_waits_is_woken_in_scaled_time() -> None:
    """An alarm rings after its seconds times the scale, or never once it is taken back."""

    async def run() -> list[str]:
        rung: list[str] = []
        clock = ScaledClock(1e-6)
        take_back = clock.alarm(1_000, lambda: rung.append("taken back"), blocking=False)
        assert take_back is not None
        take_back()
        done = asyncio.Event()
        clock.alarm(2_000, done.set, blocking=False)
        await asyncio.wait_for(done.wait(), 60)
        return rung

    assert asyncio.run(run()) == []


def test_threads_are_not_woken() -> None:
    """Nothing in the demo blocks; who tries is told."""
    with pytest.raises(NotImplementedError, match="asynchronous"):
        ScaledClock(1).alarm(1, bool, blocking=True)
