"""Keeps the SDK's calls within the budgets that the program has opened around them.

The one case in which an instrumented client raises what the bare one wouldn't: the program asked
for that by opening a budget.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from agentperf._engine.current import current_host
from agentperf._engine.frames import current_frame
from agentperf._engine.waiting import in_one_go
from agentperf.instrumentation.faults import swallowed
from agentperf.instrumentation.model import ModelRequest
from agentperf.instrumentation.openai.requests import read_request
from agentperf.instrumentation.surroundings import ModelCallAround, surrounding

if TYPE_CHECKING:
    from agentperf.policies.budgeted.clients import AdmittedCall

_PROMPTS = ("messages", "input", "prompt", "instructions")


def within_budget(client: Any, options: Any, *, stream: bool) -> Admission:
    """Make what refuses a model call that would break a budget, on entering with its colour.

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
    return _Admission(request)


class _Admission:
    """Lets one model call in, and takes note of its end, in either colour."""

    def __init__(self, request: ModelRequest) -> None:
        self._request = request
        self._call: AdmittedCall | None = None

    def __enter__(self) -> None:
        in_one_go(self._begin(is_async=False))

    def __exit__(self, *_: object) -> None:
        if self._call is not None:
            in_one_go(self._call.ended())

    async def __aenter__(self) -> None:
        await self._begin(is_async=True)

    async def __aexit__(self, *_: object) -> None:
        if self._call is not None:
            await self._call.ended()

    async def _begin(self, *, is_async: bool) -> None:
        from agentperf.policies.budgeted.clients import admit_model_call

        request = self._request
        prompts = [request.body[name] for name in _PROMPTS if name in request.body]
        self._call = await admit_model_call(request.name, request.model, prompts, is_async=is_async)


Admission = _Admission | nullcontext[None]
"""To be entered with `with` or `async with`."""

_UNLIMITED: nullcontext[None] = nullcontext()
