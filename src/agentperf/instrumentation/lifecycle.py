"""One model call from its beginning to its one end."""

from __future__ import annotations

import weakref
from types import TracebackType
from typing import Any, Self

from agentperf._base.endings import Ending
from agentperf._engine.booked import book
from agentperf._engine.frames import current_frame
from agentperf._engine.hosting import Host
from agentperf.abc.telemetry import FOLD_AT
from agentperf.events import ModelCallEnded
from agentperf.instrumentation.faults import swallowed
from agentperf.instrumentation.figures import count, ending_of
from agentperf.instrumentation.model import Answer, ModelRequest, Told
from agentperf.instrumentation.otel.model import ModelTrace
from agentperf.instrumentation.surroundings import ModelCallAround, leave, surrounding


class ModelFailed(Exception):
    """The model's answer was that it failed."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class ModelCall:
    """A model call that is being observed.

    As a context manager it stands around the SDK's own work. It ends at the first of: the answer is
    there, an error, a cancellation, the end of the stream, a close, or that nobody holds it any
    more. It refers to neither response nor stream, so that those go when the program lets go.

    Nothing of it raises.

    Attributes:
        claimed: Whether the SDK's own stream reads the answer, so that the body is none of ours.
    """

    __slots__ = (
        "_answer",
        "_around",
        "_busy",
        "_entered",
        "_first_item",
        "_frame",
        "_gaps",
        "_host",
        "_items",
        "_now",
        "_open",
        "_outer",
        "_read",
        "_reader",
        "_recorder",
        "_request",
        "_seconds",
        "_start",
        "_step",
        "_trace",
        "claimed",
    )

    def __init__(
        self, host: Host, request: ModelRequest, trace: ModelTrace | None, *, chunks: bool
    ) -> None:
        frame = current_frame.get()
        self._host = host
        self._request = request
        self._trace = trace
        self._recorder = host.tap.recorder(request.name)
        self._frame = frame
        self._outer = () if frame is None else frame.recorders
        self._answer = Answer()
        self._read = request.endpoint.read_item
        self._gaps: list[float] | None = [] if chunks else None
        self._first_item: float | None = None
        self._items: int | None = 0 if request.streaming else None
        self._around: Any = None
        self._entered = False
        self._busy = True
        self.claimed = False
        self._reader: weakref.ref[Any] | None = None
        self._now = now = host.clock.now
        self._start = self._step = now()
        self._seconds = 0.0
        self._open = [True]  # the last: what was not made as a whole has no end to tell of

    def __enter__(self) -> Self:
        self._around = surrounding.set(ModelCallAround())
        if self._trace is not None:
            try:
                self._trace.enter()
                self._entered = True
            except Exception as error:  # noqa: BLE001 - our fault, not the program's
                swallowed("model.enter", error)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._took()
        leave(self._around)
        self._around = None
        if self._trace is not None and self._entered:
            try:
                self._trace.leave(error)
            except Exception as fault:  # noqa: BLE001
                swallowed("model.leave", fault)
        if error is not None:
            self.end(ending_of(error), error)

    def answered(self, answer: Any) -> None:
        """End with a whole answer."""
        self._took()
        try:
            self._request.endpoint.read(self._answer, answer)
        except Exception as error:  # noqa: BLE001 - the answer has another form than we know
            swallowed("model.answer", error)
        self.end(Ending.COMPLETED)

    def begin_step(self) -> None:
        """The next item is being waited for."""
        self._busy = True
        self._step = self._now()

    def item(self, item: Any) -> None:
        """An item of the stream is there."""
        seconds = self._took()
        if self._items is not None:
            self._items += 1
        if self._first_item is None:
            self._first_item = self._seconds
            self._recorder.first_item(self._seconds)
        else:
            gaps = self._recorder.gaps
            gaps.append(seconds)
            if len(gaps) >= FOLD_AT:
                self._recorder.fold()
            if self._gaps is not None:
                self._gaps.append(seconds)
        try:
            self._read(self._answer, item)
        except Exception as error:  # noqa: BLE001 - the item has another form than we know
            swallowed("model.item", error)

    def piece(self, _: bytes) -> None:
        """A piece of the body is there, which the program reads by itself."""
        self._took()
        if self._first_item is None and self._request.streaming:
            self._first_item = self._seconds
            self._recorder.first_item(self._seconds)

    def stopped(self, error: BaseException) -> None:
        """Reading the answer came to its end, or raised."""
        self._took()
        if isinstance(error, StopIteration | StopAsyncIteration):
            self.end(Ending.COMPLETED)
        else:
            self.end(ending_of(error), error)

    def claim(self, reader: Any) -> None:
        """Let the SDK's own stream read; `reader` is its generator."""
        self.claimed = True
        self._reader = weakref.ref(reader)

    def closed(self) -> None:
        """The body was closed: the end, unless that happens because reading has just ended."""
        if not self._busy:
            self.end(Ending.ABANDONED if self._is_let_go() else Ending.CLOSED)

    def _is_let_go(self) -> bool:
        """Tell whether it is the reader's own end that closes the body: nobody holds it."""
        if self._reader is None:
            return False
        reader = self._reader()
        running = getattr(reader, "gi_running", False) or getattr(reader, "ag_running", False)
        return reader is None or running

    def end(self, ending: Ending, error: BaseException | None = None) -> None:
        """End the call; only the first end counts."""
        try:
            self._open.pop()
        except IndexError:
            return
        try:
            self._tell(ending, error)
        except Exception as fault:  # noqa: BLE001 - our fault, not the program's
            swallowed("model.end", fault)

    def __del__(self) -> None:
        if getattr(self, "_open", None):
            self.end(Ending.ABANDONED)

    def _took(self) -> float:
        """Add the time since the step began; what the program does between steps doesn't count."""
        if not self._busy:
            return 0.0
        self._busy = False
        seconds = self._now() - self._step
        self._seconds += seconds
        return seconds

    def _tell(self, ending: Ending, error: BaseException | None) -> None:
        request, answer, recorder = self._request, self._answer, self._recorder
        if answer.failure is not None and ending is Ending.COMPLETED:
            ending, error = Ending.FAILED, ModelFailed(answer.failure)
        usage = answer.usage(request.model)
        count(recorder, self._seconds, ending, error)
        if usage is not None:
            if self._frame is not None:
                book(self._frame, usage)
                if self._frame.tab is not None:
                    self._frame.tab.put(usage, request.name)
            recorder.used(usage, own=True)
            for outer in self._outer:
                if outer is not recorder:
                    outer.used(usage, own=False)
        trace, self._trace = self._trace, None
        if trace is not None:
            elapsed = self._now() - self._start
            gaps = self._gaps or []
            trace.ended(Told(ending, error, answer, usage, elapsed, self._first_item, gaps))
        emit = self._host.bus.emitter(ModelCallEnded)
        if emit is not None:
            emit(
                ModelCallEnded(
                    operation=request.name,
                    seconds=self._seconds,
                    ending=ending,
                    error=type(error).__name__ if ending is Ending.FAILED else None,
                    first_item=self._first_item,
                    items=self._items,
                    usage=usage,
                    provider=request.provider,
                    model=request.model,
                    server=request.host,
                )
            )
