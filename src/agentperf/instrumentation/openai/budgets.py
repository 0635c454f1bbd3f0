"""Keeps the SDK's calls within the budgets that the program has opened around them.

The one case in which an instrumented client raises what the bare one wouldn't: the program asked
for that by opening a budget.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from agentperf._engine.current import current_host
from agentperf._engine.frames import current_frame
from agentperf.instrumentation.faults import swallowed
from agentperf.instrumentation.model import ModelRequest
from agentperf.instrumentation.openai.requests import read_request
from agentperf.instrumentation.surroundings import ModelCallAround, surrounding

_UNLIMITED: AbstractContextManager[None] = nullcontext()
_PROMPTS = ("messages", "input", "prompt", "instructions")


def within_budget(client: Any, options: Any, *, stream: bool) -> AbstractContextManager[None]:
    """Make what refuses a model call that would break a budget, on entering.

    Outside of any budget, and for any other request, it does nothing.
    """
    frame = current_frame.get()
    if frame is None or frame.tab is None or isinstance(surrounding.get(), ModelCallAround):
        return _UNLIMITED
    try:
        request = read_request(client, options, streaming=stream)
        if request is None or not current_host().settings.enabled:
            return _UNLIMITED
    except Exception as error:  # noqa: BLE001 - the call goes on without us
        swallowed("openai.budget", error)
        return _UNLIMITED
    return _admitted(request)


@contextlib.contextmanager
def _admitted(request: ModelRequest) -> Iterator[None]:
    from agentperf.policies.budgeted.clients import admit_model_call

    prompts = [request.body[name] for name in _PROMPTS if name in request.body]
    ended = admit_model_call(request.name, request.model, prompts)
    try:
        yield
    finally:
        if ended is not None:
            ended()
