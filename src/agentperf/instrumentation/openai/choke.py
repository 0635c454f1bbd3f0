"""The choke point: every request of the SDK goes through `request` of its base client."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from agentperf._engine.current import current_host
from agentperf.abc import Signals
from agentperf.instrumentation.faults import swallowed
from agentperf.instrumentation.lifecycle import ModelCall
from agentperf.instrumentation.openai.answers import take
from agentperf.instrumentation.openai.budgets import within_budget
from agentperf.instrumentation.openai.requests import read_request
from agentperf.instrumentation.otel.model import ModelTelemetry
from agentperf.instrumentation.patches import Patch
from agentperf.instrumentation.surroundings import ModelCallAround, surrounding

_UNOBSERVED: AbstractContextManager[None] = nullcontext()


class Choke:
    """Stands around `request`, in both colours."""

    def __init__(self, signals: Signals) -> None:
        self._telemetry = ModelTelemetry(signals)

    def sync(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        """Make the wrapper of `SyncAPIClient.request`."""

        def request(
            self_: Any, cast_to: Any, options: Any, *args: Any, stream: bool = False, **kwargs: Any
        ) -> Any:
            if not patch.active:
                return original(self_, cast_to, options, *args, stream=stream, **kwargs)
            with (
                within_budget(self_, options, stream=stream),
                self._observed(self_, options, stream=stream) as call,
            ):
                result = original(self_, cast_to, options, *args, stream=stream, **kwargs)
            if call is not None:
                take(call, result, streaming=stream)
            return result

        return request

    def asynchronous(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        """Make the wrapper of `AsyncAPIClient.request`."""

        async def request(
            self_: Any, cast_to: Any, options: Any, *args: Any, stream: bool = False, **kwargs: Any
        ) -> Any:
            if not patch.active:
                return await original(self_, cast_to, options, *args, stream=stream, **kwargs)
            async with within_budget(self_, options, stream=stream):
                with self._observed(self_, options, stream=stream) as call:
                    result = await original(self_, cast_to, options, *args, stream=stream, **kwargs)
            if call is not None:
                take(call, result, streaming=stream)
            return result

        return request

    def _observed(
        self, client: Any, options: Any, *, stream: bool
    ) -> AbstractContextManager[ModelCall | None]:
        """Begin to observe a call; never raises, and lets pass what is no model call."""
        try:
            if isinstance(surrounding.get(), ModelCallAround):
                return _UNOBSERVED
            request = read_request(client, options, streaming=stream)
            if request is None:
                return _UNOBSERVED
            host = current_host()
            if not host.settings.enabled:
                return _UNOBSERVED
            return ModelCall(
                host, request, self._telemetry.begin(request), chunks=self._telemetry.chunks
            )
        except Exception as error:  # noqa: BLE001 - the call goes on without us
            swallowed("openai.request", error)
            return _UNOBSERVED
