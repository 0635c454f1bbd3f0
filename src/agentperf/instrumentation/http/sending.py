"""Observes the sending of one HTTP request, up to the headers of its answer."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Any, Self

from agentperf._base.endings import Ending
from agentperf._engine.current import current_host
from agentperf._engine.hearing import tell_of_reply
from agentperf._engine.hosting import Host
from agentperf.abc import Signals
from agentperf.events import HttpCallEnded
from agentperf.instrumentation.faults import swallowed
from agentperf.instrumentation.figures import count, ending_of
from agentperf.instrumentation.otel.http import HttpTelemetry, HttpTrace
from agentperf.instrumentation.patches import Patch
from agentperf.instrumentation.surroundings import ModelCallAround, leave, surrounding


class HTTPStatusError(Exception):
    """The other side answered with a status from 400 up; the libraries' own name for it."""


_REFUSED = HTTPStatusError()


class Sending:
    """Stands around the sending of a request, in both colours.

    Args:
        signals: Where spans and metrics go.
        by_client: Whether it is a client that sends, who has any transport, or a transport.
    """

    def __init__(self, signals: Signals, *, by_client: bool) -> None:
        self._telemetry = HttpTelemetry(signals)
        self._by_client = by_client

    def _part_in(self, request: Any) -> tuple[bool, bool]:
        """Tell whether a request is to be observed here, and whether its answer is heard here.

        Neither is done twice. Of a model call only what the network does is of interest, each
        attempt of the transport; its answers are heard of from the client, who has any transport.
        """
        around = surrounding.get()
        if around is request:
            return False, False
        of_model = isinstance(around, ModelCallAround)
        return not (of_model and self._by_client), not of_model or self._by_client

    def sync(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        """Make the wrapper of a synchronous sender."""
        part_in = self._part_in

        def send(self_: Any, request: Any) -> Any:
            if not patch.active:
                return original(self_, request)
            observes, hears = part_in(request)
            if not observes:
                response = original(self_, request)
            else:
                with self._observed(request) as call:
                    response = call.response = original(self_, request)
            if hears:
                _tell(response)
            return response

        return send

    def asynchronous(self, original: Callable[..., Any], patch: Patch) -> Callable[..., Any]:
        """Make the wrapper of an asynchronous sender."""
        part_in = self._part_in

        async def send(self_: Any, request: Any) -> Any:
            if not patch.active:
                return await original(self_, request)
            observes, hears = part_in(request)
            if not observes:
                response = await original(self_, request)
            else:
                with self._observed(request) as call:
                    response = call.response = await original(self_, request)
            if hears:
                _tell(response)
            return response

        return send

    def _observed(self, request: Any) -> AbstractContextManager[Any]:
        """Begin to observe a request; never raises."""
        try:
            host = current_host()
            if not host.settings.enabled:
                return _Unobserved()
            around = surrounding.get()
            model = around if isinstance(around, ModelCallAround) else None
            if model is not None:
                model.sent += 1
            trace = self._telemetry.begin(request, 0 if model is None else model.sent)
            if model is not None and trace is None:
                return _Unobserved()
            return HttpCall(None if model is not None else host, request, trace, host.clock.now)
        except Exception as error:  # noqa: BLE001 - the request goes on without us
            swallowed("http.request", error)
            return _Unobserved()


def _tell(response: Any) -> None:
    """Tell limiters around the request what its headers say."""
    try:
        tell_of_reply(response.status_code, response.headers)
    except Exception as error:  # noqa: BLE001 - the answer is there all the same
        swallowed("http.reply", error)


class _Unobserved:
    """Stands around a request that nobody observes."""

    response: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


class HttpCall:
    """One HTTP request that is being observed; nothing of it raises.

    Args:
        host: Where to count it; None for a request of a model call, which is counted there.
        request: The request.
        trace: Its signals in OpenTelemetry.
        now: The clock.

    Attributes:
        response: The answer, once it is there.
    """

    __slots__ = ("_entered", "_host", "_now", "_request", "_start", "_trace", "response")

    def __init__(
        self, host: Host | None, request: Any, trace: HttpTrace | None, now: Callable[[], float]
    ) -> None:
        self._host = host
        self._request = request
        self._trace = trace
        self._now = now
        self._entered: Any = None
        self.response: Any = None
        self._start = now()

    def __enter__(self) -> Self:
        self._entered = surrounding.set(self._request)
        if self._trace is not None:
            try:
                self._trace.enter()
            except Exception as error:  # noqa: BLE001
                swallowed("http.enter", error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        leave(self._entered)
        seconds = self._now() - self._start
        try:
            status = None if self.response is None else self.response.status_code
            if self._trace is not None:
                self._trace.ended(seconds, self.response, status, error)
            if self._host is not None:
                self._count(self._host, seconds, status, error)
        except Exception as fault:  # noqa: BLE001
            swallowed("http.end", fault)

    def _count(
        self, host: Host, seconds: float, status: int | None, error: BaseException | None
    ) -> None:
        if error is None and status is not None and status >= 400:
            error = _REFUSED
        ending = Ending.COMPLETED if error is None else ending_of(error)
        method, server = self._request.method, self._request.url.host
        operation = f"{method} {server}".rstrip()
        count(host.tap.recorder(operation), seconds, ending, error)
        emit = host.bus.emitter(HttpCallEnded)
        if emit is not None:
            emit(
                HttpCallEnded(
                    operation=operation,
                    seconds=seconds,
                    ending=ending,
                    error=type(error).__name__ if ending is Ending.FAILED else None,
                    method=method,
                    server=server,
                    status=status,
                )
            )
