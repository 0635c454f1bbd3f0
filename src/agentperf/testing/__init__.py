"""For tests of programs that use agentperf: time by hand, fresh hosts, faults, a fake model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentperf.testing.clock import FakeClock as FakeClock
    from agentperf.testing.fake_llm import FakeLLM as FakeLLM
    from agentperf.testing.faults import cut as cut
    from agentperf.testing.faults import delay as delay
    from agentperf.testing.faults import fail as fail
    from agentperf.testing.faults import faulty as faulty
    from agentperf.testing.faults import hang as hang
    from agentperf.testing.faults import succeed as succeed
    from agentperf.testing.hosts import fresh_host as fresh_host
    from agentperf.testing.recording import EventLog as EventLog
    from agentperf.testing.recording import recorded as recorded

_EXPORTS = {
    "EventLog": "agentperf.testing.recording",
    "FakeClock": "agentperf.testing.clock",
    "FakeLLM": "agentperf.testing.fake_llm",
    "cut": "agentperf.testing.faults",
    "delay": "agentperf.testing.faults",
    "fail": "agentperf.testing.faults",
    "faulty": "agentperf.testing.faults",
    "fresh_host": "agentperf.testing.hosts",
    "hang": "agentperf.testing.faults",
    "recorded": "agentperf.testing.recording",
    "succeed": "agentperf.testing.faults",
}

# One table serves everything: a second list of the names could differ from it.
__all__ = [*_EXPORTS]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


if not TYPE_CHECKING:  # to a checker any name would seem to be there

    def __getattr__(name: str) -> Any:
        """Import a name when it is first used: the model needs packages that the clock does not."""
        if (module := _EXPORTS.get(name)) is None:
            raise AttributeError(f"module 'agentperf.testing' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(module), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
