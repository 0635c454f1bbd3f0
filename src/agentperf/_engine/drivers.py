"""The two drivers: the same layers for calls that block and for calls that are awaited."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from agentperf._base.endings import Ending
from agentperf._engine.bindings import Step
from agentperf._engine.frames import Frame, current_frame, leave
from agentperf._engine.layers import Gate, Meter, Settler
from agentperf._engine.streams import (
    LIVE,
    AnyLiveStream,
    AsyncLiveStream,
    LiveStream,
    Recogniser,
    TurnedAsync,
)
from agentperf._engine.waiting import in_one_go
from agentperf.abc.telemetry import FOLD_AT

if TYPE_CHECKING:
    from agentperf._engine.under_way import UnderWay

Args = tuple[Any, ...]
Kwargs = dict[str, Any]
Flow = Callable[..., Coroutine[Any, Any, Any]]
Enter = Callable[[Args, Kwargs], Any]
Guarded = Callable[..., Any]
Rescue = Callable[[Exception, Args, Kwargs], Any]


class _Driver(ABC):
    """What both colours share.

    Args:
        recognise: Tells plain results from streams and awaitables.
    """

    is_async: bool

    def __init__(self, recognise: Recogniser) -> None:
        self._recognise = recognise

    def recognised(self, value: Any, kwargs: Kwargs) -> Any:
        """Return a live stream for a stream, the value itself for anything else."""
        return self._recognise(value, kwargs)

    def gate(self, gate: Gate, inner: Step) -> Step:
        """Put a gate in front of `inner`."""
        return self.guarded(gate, inner, gate.enter)

    def _counting(
        self,
        inner: Step,
        passed: Callable[[], object],
        rescue: Rescue,
        under_way: UnderWay | None,
    ) -> tuple[Sequence[None], Callable[[], AbstractContextManager[None]], Step]:
        """Return when calls are to be counted, in what, and what then to call."""
        if under_way is None:
            return (), nullcontext, inner
        return under_way.extra, under_way.call, self.rescued(inner, passed, rescue)

    @abstractmethod
    def rescued(
        self,
        inner: Step,
        passed: Callable[[], object],
        rescue: Rescue,
        under_way: UnderWay | None = None,
    ) -> Step:
        """Call `inner`, and where it fails let `rescue(error, args, kwargs)` answer."""

    @abstractmethod
    def framed(self, run: Guarded, frame_of: Callable[[Any], Frame]) -> Guarded:
        """Run what `guarded` made inside of the frame that belongs to the call's ticket."""

    @abstractmethod
    def guarded(self, settler: Settler, inner: Step, enter: Enter | None = None) -> Guarded:
        """Run `inner` for calls that are let in, and have their ends settled."""


class SyncDriver(_Driver):
    """Runs layers around calls that block."""

    is_async = False

    def guarded(self, settler: Settler, inner: Step, enter: Enter | None = None) -> Guarded:
        """Run `inner` for calls that are let in, and have their ends settled."""
        plain, recognise = self._recognise.plain, self._recognise
        done = settler.done if settler.settles else None

        def step(args: Args, kwargs: Kwargs, ticket: Any = None) -> Any:
            if ticket is None and enter is not None:
                ticket = enter(args, kwargs)
            try:
                value = inner(args, kwargs)
            except BaseException as error:
                _settle_error(settler, ticket, error)
                raise
            if type(value) in plain:
                if done is not None:
                    done(ticket, value)
                return value
            return _settle_value(settler, ticket, recognise, value, kwargs)

        return step

    def framed(self, run: Guarded, frame_of: Callable[[Any], Frame]) -> Guarded:
        """Run what `guarded` made inside of the frame that belongs to the call's ticket."""

        def step(args: Args, kwargs: Kwargs, ticket: Any) -> Any:
            frame = frame_of(ticket)
            token = current_frame.set(frame)
            try:
                return _in_frame(run(args, kwargs, ticket), frame)
            finally:
                leave(token)

        return step

    def measured(self, meter: Meter, inner: Step, now: Callable[[], float]) -> Step:
        """Measure `inner`."""
        root, mine, recorder, covers = _of_frame(meter)
        keep, attentive = meter.durations.append, meter.attentive
        recognise = self._recognise
        # A call that is reported one by one never ends the quick way.
        plain = frozenset[type]() if attentive else recognise.plain
        outer, push, pop = current_frame.get, current_frame.set, current_frame.reset
        left = FOLD_AT

        def step(args: Args, kwargs: Kwargs) -> Any:
            nonlocal left
            parent = outer()
            if parent is None:
                frame = root
            elif mine in parent.covers and parent.recorders[0] is recorder:
                return inner(args, kwargs)
            else:
                frame = Frame(recorder, parent, covers)
            note = None
            if attentive:
                note = meter.started(args, kwargs, frame)
                frame = note.frame
            token = push(frame)
            start = now()
            try:
                value = inner(args, kwargs)
            except BaseException as error:
                _measure_error(meter, start, error, note)
                raise
            finally:
                pop(token)
            if type(value) not in plain:
                value = recognise(value, kwargs)
                _measure_value(meter, start, value, note, frame)
                return value
            keep(now() - start)
            left -= 1  # two threads may tear this; it only says when to tidy up
            if left < 0:
                left = FOLD_AT
                meter.fold()
            return value

        return step

    def primed(self, inner: Step) -> Step:
        """Call `inner`, and wait for the first item where it gives a stream."""
        plain, recognise = self._recognise.plain, self._recognise

        def step(args: Args, kwargs: Kwargs) -> Any:
            value = inner(args, kwargs)
            if type(value) in plain:
                return value
            value = recognise(value, kwargs)
            if type(value) is LiveStream and not value.primed:
                value.prime()
            return value

        return step

    def rescued(
        self,
        inner: Step,
        passed: Callable[[], object],
        rescue: Rescue,
        under_way: UnderWay | None = None,
    ) -> Step:
        """Call `inner`, and where it fails let `rescue(error, args, kwargs)` answer."""
        plain, recognise = self._recognise.plain, self._recognise
        extra, call, uncounted = self._counting(inner, passed, rescue, under_way)

        def step(args: Args, kwargs: Kwargs) -> Any:
            if extra:
                with call():
                    return uncounted(args, kwargs)
            try:
                value = inner(args, kwargs)
            except Exception as error:  # noqa: BLE001 - it is raised again unless there is an answer
                return rescue(error, args, kwargs)
            passed()
            return value if type(value) in plain else recognise(value, kwargs)

        return step

    def flow(self, run: Flow, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Run an async-shaped function to its end without an event loop."""
        plain, recognise = self._recognise.plain, self._recognise

        async def proceed(*call: Any) -> Any:
            try:
                value = inner(*call)
            except StopIteration as stop:
                raise _Stopped(stop) from None
            return value if type(value) in plain else recognise(value, call[1])

        def step(*anything: Any) -> Any:
            try:
                return in_one_go(run(proceed, *anything))
            except _Stopped as stopped:
                stop = stopped.stop
            raise stop

        return step


class AsyncDriver(_Driver):
    """Runs layers around calls that are awaited."""

    is_async = True

    def guarded(self, settler: Settler, inner: Step, enter: Enter | None = None) -> Guarded:
        """Run `inner` for calls that are let in, and have their ends settled."""
        plain, recognise = self._recognise.plain, self._recognise
        done = settler.done if settler.settles else None

        async def step(args: Args, kwargs: Kwargs, ticket: Any = None) -> Any:
            if ticket is None and enter is not None:
                ticket = enter(args, kwargs)
            try:
                value = inner(args, kwargs)
                if type(value) is CoroutineType:
                    value = await value
            except BaseException as error:
                _settle_error(settler, ticket, error)
                raise
            if type(value) in plain:
                if done is not None:
                    done(ticket, value)
                return value
            return _settle_value(settler, ticket, recognise, value, kwargs)

        return step

    def framed(self, run: Guarded, frame_of: Callable[[Any], Frame]) -> Guarded:
        """Run what `guarded` made inside of the frame that belongs to the call's ticket."""

        async def step(args: Args, kwargs: Kwargs, ticket: Any) -> Any:
            frame = frame_of(ticket)
            token = current_frame.set(frame)
            try:
                return _in_frame(await run(args, kwargs, ticket), frame)
            finally:
                leave(token)

        return step

    def measured(self, meter: Meter, inner: Step, now: Callable[[], float]) -> Step:
        """Measure `inner`."""
        root, mine, recorder, covers = _of_frame(meter)
        keep, attentive = meter.durations.append, meter.attentive
        recognise = self._recognise
        # A call that is reported one by one never ends the quick way.
        plain = frozenset[type]() if attentive else recognise.plain
        outer, push, pop = current_frame.get, current_frame.set, current_frame.reset
        left = FOLD_AT

        async def step(args: Args, kwargs: Kwargs) -> Any:
            nonlocal left
            parent = outer()
            if parent is None:
                frame = root
            elif mine in parent.covers and parent.recorders[0] is recorder:
                value = inner(args, kwargs)
                return await value if type(value) is CoroutineType else value
            else:
                frame = Frame(recorder, parent, covers)
            note = None
            if attentive:
                note = meter.started(args, kwargs, frame)
                frame = note.frame
            token = push(frame)
            start = now()
            try:
                value = inner(args, kwargs)
                if type(value) is CoroutineType:
                    value = await value
            except BaseException as error:
                leave(token)
                _measure_error(meter, start, error, note)
                raise
            pop(token)
            if type(value) not in plain:
                value = recognise(value, kwargs)
                _measure_value(meter, start, value, note, frame)
                return value
            keep(now() - start)
            left -= 1  # two threads may tear this; it only says when to tidy up
            if left < 0:
                left = FOLD_AT
                meter.fold()
            return value

        return step

    def primed(self, inner: Step) -> Step:
        """Call `inner`, and wait for the first item where it gives a stream."""
        plain, recognise = self._recognise.plain, self._recognise

        async def step(args: Args, kwargs: Kwargs) -> Any:
            value = inner(args, kwargs)
            if type(value) is CoroutineType:
                value = await value
            if type(value) in plain:
                return value
            value = recognise(value, kwargs)
            if type(value) is AsyncLiveStream and not value.primed:
                await value.prime()
            return value

        return step

    def rescued(
        self,
        inner: Step,
        passed: Callable[[], object],
        rescue: Rescue,
        under_way: UnderWay | None = None,
    ) -> Step:
        """Call `inner`, and where it fails let `rescue(error, args, kwargs)` answer."""
        plain, recognise = self._recognise.plain, self._recognise
        extra, call, uncounted = self._counting(inner, passed, rescue, under_way)

        async def step(args: Args, kwargs: Kwargs) -> Any:
            if extra:
                with call():
                    return await uncounted(args, kwargs)
            try:
                value = inner(args, kwargs)
                if type(value) is CoroutineType:
                    value = await value
            except Exception as error:  # noqa: BLE001 - it is raised again unless there is an answer
                return await rescue(error, args, kwargs)
            passed()
            return value if type(value) in plain else recognise(value, kwargs)

        return step

    def flow(self, run: Flow, inner: Callable[..., Any]) -> Callable[..., Any]:
        """Run an async-shaped function as the coroutine it is."""
        plain, recognise = self._recognise.plain, self._recognise

        async def proceed(*call: Any) -> Any:
            value = inner(*call)
            if type(value) is CoroutineType:
                value = await value
            return value if type(value) in plain else recognise(value, call[1])

        def step(*anything: Any) -> Any:
            return run(proceed, *anything)

        return step


class _Stopped(Exception):
    """Carries a `StopIteration` that the user's function raised through async-shaped code.

    Python lets none out of a coroutine.
    """

    def __init__(self, stop: StopIteration) -> None:
        super().__init__(stop)
        self.stop = stop


def _settle_error(settler: Settler, ticket: Any, error: BaseException) -> None:
    if isinstance(error, Exception):
        settler.failed(ticket, error)
    else:
        settler.dropped(ticket, Ending.CANCELLED)


def _settle_value(
    settler: Settler, ticket: Any, recognise: Recogniser, value: Any, kwargs: Kwargs
) -> Any:
    try:
        value = recognise(value, kwargs)
    except BaseException as error:
        _settle_error(settler, ticket, error)
        raise
    if type(value) in LIVE:
        item = None
        if settler.watches_items:
            item = _Items(settler, ticket, recognise.now(), primed=value.primed)
        value.watch(item=item, end=partial(_settle_stream, settler, ticket))
    else:
        settler.done(ticket, value)
    return value


def _in_frame(value: Any, frame: Frame) -> Any:
    """Let the producer of a stream work in the frame it was begun in."""
    if type(value) in LIVE and value.frame is None:
        value.frame = frame
    return value


class _Items:
    """Tells a settler of the items of a stream, on a clock that stands still between them."""

    __slots__ = ("_at", "_primed", "_settler", "_ticket")

    def __init__(self, settler: Settler, ticket: Any, opened: float, *, primed: bool) -> None:
        self._settler = settler
        self._ticket = ticket
        self._at = opened
        self._primed = primed

    def __call__(self, item: Any, seconds: float) -> None:
        if self._primed:  # it was there already when the stream was opened
            self._primed = False
        else:
            self._at += seconds
        self._settler.seen(self._ticket, item, self._at)


def _settle_stream(
    settler: Settler,
    ticket: Any,
    stream: AnyLiveStream,
    ending: Ending,
    error: BaseException | None,
) -> None:
    if ending is Ending.COMPLETED:
        settler.done(ticket, stream)
    elif isinstance(error, Exception):
        settler.failed(ticket, error)
    else:
        settler.dropped(ticket, ending)


def _of_frame(meter: Meter) -> tuple[Frame, Any, Any, Any]:
    frame = meter.frame
    return frame, meter.token, frame.recorders[0], frame.covers


def _measure_error(meter: Meter, start: float, error: BaseException, note: Any) -> None:
    if isinstance(error, TurnedAsync):
        return  # from a layer further in: this was not the call yet
    ending = Ending.FAILED if isinstance(error, Exception) else Ending.CANCELLED
    meter.ended(start, ending, error, note)


def _measure_value(meter: Meter, start: float, value: Any, note: Any, frame: Frame) -> None:
    if type(value) in LIVE:
        meter.streams(start, value, note, frame)
    else:
        meter.ended(start, Ending.COMPLETED, None, note)
