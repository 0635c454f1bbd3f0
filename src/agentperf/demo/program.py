"""What both versions of the agent look like from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from openai import AsyncOpenAI

from agentperf.demo.conversations import Message
from agentperf.demo.memory import Memory

Show = Callable[[str], object]
"""Gets each piece of an answer as it comes."""

Respond = Callable[[Message, Show], Awaitable[str]]
"""Answers a message."""

Program = Callable[[AsyncOpenAI, Memory], AbstractAsyncContextManager[Respond]]
"""Runs an agent: gives what answers messages, and on leaving waits for what is still at work."""
