"""What both versions of the agent look like from outside."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from agentperf.demo.conversations import Message
from agentperf.demo.memory import Memory

Show = Callable[[str], object]
"""Gets each piece of an answer as it comes; an empty one says that the answer begins anew."""

Respond = Callable[[Message, Show], Awaitable[str]]
"""Answers a message."""

Program = Callable[[str, Memory], AbstractAsyncContextManager[Respond]]
"""Runs an agent on the model server at a base URL: gives what answers messages, and on leaving
waits for what is still at work."""
