"""An OpenAI-compatible model server for tests and for the demo: quick, seeded, countable."""

from __future__ import annotations

from agentperf.testing.fake_llm.counts import ServerStats
from agentperf.testing.fake_llm.options import Fault, Faults, Pace, Price
from agentperf.testing.fake_llm.server import FakeLLM
from agentperf.testing.fake_llm.tools import ToolCall
from agentperf.testing.fake_llm.wire import Message

__all__ = ["FakeLLM", "Fault", "Faults", "Message", "Pace", "Price", "ServerStats", "ToolCall"]
