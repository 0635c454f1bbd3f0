"""Events of instrumented clients."""

from __future__ import annotations

from dataclasses import dataclass

from agentperf.events.calls import CallEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCallEnded(CallEnded):
    """A call of a model, made through an instrumented client, came to its end.

    Attributes:
        provider: Who runs the model, such as `openai`.
        model: The model that was asked for; None where the request named none.
        server: Host name the request went to.
    """

    provider: str
    model: str | None = None
    server: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCallEnded(CallEnded):
    """An HTTP request, made through an instrumented client, was answered or failed.

    Attributes:
        method: The request's method, such as `GET`.
        server: Host name it went to.
        status: The answer's status code; None where there was no answer.
    """

    method: str
    server: str
    status: int | None = None
