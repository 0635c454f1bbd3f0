"""One span: current while the library runs, never across a yield, ended once."""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from agentperf.instrumentation.faults import said_once, swallowed


@cache
def _api() -> Any:
    """Load the parts of the API that are needed, once."""
    from types import SimpleNamespace

    from opentelemetry import context, trace

    return SimpleNamespace(
        attach=context.attach,
        detach=context.detach,
        current=context.get_current,
        current_span=trace.get_current_span,
        around=trace.set_span_in_context,
        client=trace.SpanKind.CLIENT,
        failed=trace.Status(trace.StatusCode.ERROR),
        suppressing=getattr(context, "_SUPPRESS_INSTRUMENTATION_KEY", ""),
    )


def suppressed() -> bool:
    """Tell whether the program has switched instruments off for a region."""
    api = _api()
    context = api.current()
    # Some set the API's own key, some the plain word.
    return bool(
        context and (context.get(api.suppressing) or context.get("suppress_instrumentation"))
    )


def is_taken(*marks: tuple[str, object]) -> bool:
    """Tell whether the current span is another instrument's for the very same call.

    Args:
        *marks: Attributes and values by which such a span is known; None stands for any value.
    """
    attributes = getattr(_api().current_span(), "attributes", None)
    if not attributes:
        return False
    for name, value in marks:
        found = attributes.get(name)
        if found is not None and value in (None, found):
            said_once("instrumentation.other_active", known_by=name)
            return True
    return False


class ClientSpan:
    """A span of a call to somebody else."""

    __slots__ = ("_context", "_entered", "_span", "recording")

    def __init__(self, tracer: Any, name: str, attributes: Mapping[str, Any]) -> None:
        self._span = tracer.start_span(name, kind=_api().client, attributes=attributes)
        self.recording: bool = self._span.is_recording()
        self._context: Any = None
        self._entered: Any = None

    def enter(self) -> None:
        """Make it current."""
        api = _api()
        self._context = api.around(self._span)
        self._entered = api.attach(self._context)

    def leave(self, error: BaseException | None) -> None:
        """Make the one before current again."""
        entered, self._entered = self._entered, None
        context, self._context = self._context, None
        api = _api()
        # A coroutine that is thrown away may be closed in another context, where ours is unknown.
        if isinstance(error, GeneratorExit) and api.current() is not context:
            return
        api.detach(entered)

    def end(self, attributes: Mapping[str, Any], at: int | None = None, *, failed: bool) -> None:
        """End it."""
        if self.recording:
            self._span.set_attributes(attributes)
            if failed:
                self._span.set_status(_api().failed)
        self._span.end(at)


_left_behind: deque[Callable[[], None]] = deque()


def later(task: Callable[[], None]) -> None:
    """Have something done at the next call, or at the program's end.

    A stream that nobody closed is found by the garbage collection, in the midst of anything: an SDK
    that is at work there already must not be entered again, since its locks are taken.
    """
    _once_at_exit()
    _left_behind.append(task)


def catch_up() -> None:
    """Do what was left for later."""
    while _left_behind:
        try:
            _left_behind.popleft()()
        except IndexError:
            return
        except Exception as error:  # noqa: BLE001 - an SDK's fault is not the program's
            swallowed("catch_up", error)


@cache
def _once_at_exit() -> None:
    atexit.register(catch_up)
