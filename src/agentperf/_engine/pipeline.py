"""The ordered policies on one function, and how they are bound to a host."""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Awaitable, Callable
from functools import partial
from types import CoroutineType, FunctionType
from typing import TYPE_CHECKING, Any

from agentperf._base.callables import Shape
from agentperf._engine.bindings import Step, Steps, Token
from agentperf._engine.drivers import AsyncDriver, SyncDriver
from agentperf._engine.site import Bindable, Site, Target, operation_of
from agentperf._engine.streams import AsyncLiveStream, LiveStream, Recogniser
from agentperf._engine.waiting import ThreadWaiting

if TYPE_CHECKING:
    from agentperf._engine.hosting import Host
    from agentperf._engine.layers import Driver
    from agentperf.abc.waiting import Lane, Waiting


class Pipeline:
    """The policies on one function, outermost first.

    Attributes:
        target: The function inside.
        policies: The policies around it.
        token: What stands for this pipeline in the tables of hosts.
        steps: Its step on the process's default host.
    """

    def __init__(self, policies: tuple[Bindable, ...], target: Target) -> None:
        self.policies = policies
        self.target = target
        self.token = Token()
        self.steps: Steps = {}
        self.wrapper: Callable[[], object] = lambda: None
        """Gives the wrapper this pipeline was made for, as long as it lives."""
        self._turned_async = False

    def belongs_to(self, wrapper: object) -> None:
        """Note the wrapper, so that a copy of our marker on a stranger is not taken for ours."""
        self.wrapper = weakref.ref(wrapper)

    def bind(self, host: Host, first: Awaitable[Any] | None = None) -> Step:
        """Build the steps of a call for `host`.

        Args:
            host: Whose state and clock to use.
            first: What the function's first call has given already.
        """
        is_async = self.target.shape.is_async or self._turned_async
        recognise = Recogniser(host.clock.now, is_async=is_async)
        driver: Driver = AsyncDriver(recognise) if is_async else SyncDriver(recognise)
        waiting = _waiting(host, self.target, is_async=is_async)
        policies = self.completed(host) if host.settings.enabled else ()
        for policy in policies:
            policy.prepare(host)
        operation = operation_of(policies, self.target)
        site = Site(host, self.target, self.token, driver, waiting, operation)
        step = _leaf(self.target, host.clock.now, is_async=is_async, first=first)
        bindings = host.bindings
        if host.settings.enabled and bindings.around:
            policies = (*bindings.around, *policies, *bindings.inside)
        for policy in reversed(policies):
            step = _around(policy, site, step)
        return _as_coroutine(step) if self._turned_async else step

    def completed(self, host: Host) -> tuple[Bindable, ...]:
        """Return the policies, those that the settings of `host` add among them."""
        return host.completed(self.target, self.policies)

    def turned_async(self, host: Host, awaitable: Awaitable[Any]) -> Step:
        """Take the function for an asynchronous one from now on.

        Returns:
            A step for the call at hand, which has its awaitable already.
        """
        self._turned_async = True
        host.bindings.forget(self)
        return self.bind(host, awaitable)

    def __repr__(self) -> str:
        kinds = ", ".join(type(policy).__name__ for policy in self.policies)
        return f"<Pipeline {self.target.operation}: {kinds}>"


def pipeline_of(wrapper: object) -> Pipeline | None:
    """Return the pipeline of one of our own wrappers, None for anything else.

    `functools.wraps` copies attributes onto strangers, so the marker counts only if it points back.
    """
    pipeline = getattr(wrapper, "__agentperf__", None)
    if isinstance(pipeline, Pipeline) and pipeline.wrapper() is wrapper:
        return pipeline
    return None


def _waiting(host: Host, target: Target, *, is_async: bool) -> Waiting:
    if not is_async:
        return ThreadWaiting(host.clock, partial(_lane, host, target))
    from agentperf._engine.loops import LoopWaiting

    return LoopWaiting(host.clock)


def _lane(host: Host, target: Target, waiting: ThreadWaiting) -> Lane:
    """Make a lane in one of the threads of a function."""
    from agentperf._engine.lanes import Crew, ThreadLane  # few calls need one

    return ThreadLane(waiting, host.state(Crew, Crew, owners=(target, Crew)))


def _around(policy: Bindable, site: Site, inner: Step) -> Step:
    if policy.enabled is False:
        return inner
    bound = policy.bind(site, inner)
    if not (policy.hands_on and policy.enabled is True):
        site.ahead.clear()
    if policy.enabled is True:
        return bound
    enabled = policy.enabled

    def chosen(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return (bound if enabled() else inner)(args, kwargs)

    return chosen


def _as_coroutine(step: Step) -> Step:
    async def run(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = step(args, kwargs)
        return await value if type(value) is CoroutineType else value

    return run


def _leaf(
    target: Target, now: Callable[[], float], *, is_async: bool, first: Awaitable[Any] | None
) -> Step:
    """The innermost step: the function itself."""
    function, shape = target.function, target.shape
    if shape is Shape.GENERATOR:
        return _generator_leaf(function, now)
    if shape is Shape.ASYNC_GENERATOR:
        return _async_generator_leaf(function, now)
    if is_async and not _is_native_coroutine(function):
        return _awaitable_leaf(function, first)

    def leaf(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        # Most calls have no keywords, and unpacking an empty dict costs as much as a clock reading.
        return function(*args, **kwargs) if kwargs else function(*args)

    return leaf


def _is_native_coroutine(function: object) -> bool:
    """Whether every call gives a coroutine; an object merely marked so may give any awaitable."""
    return isinstance(function, FunctionType) and bool(
        function.__code__.co_flags & inspect.CO_COROUTINE
    )


def _awaitable_leaf(function: Callable[..., Any], first: Awaitable[Any] | None) -> Step:
    given = [] if first is None else [first]

    async def leaf(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        value = given.pop() if given else function(*args, **kwargs)
        # A plain function may give an awaitable now, and the next time what it would have given.
        return await value if inspect.isawaitable(value) else value

    return leaf


def _generator_leaf(function: Callable[..., Any], now: Callable[[], float]) -> Step:
    def leaf(args: tuple[Any, ...], kwargs: dict[str, Any]) -> LiveStream:
        stream = LiveStream(function(*args, **kwargs), now)
        stream.prime()
        return stream

    return leaf


def _async_generator_leaf(function: Callable[..., Any], now: Callable[[], float]) -> Step:
    async def leaf(args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncLiveStream:
        stream = AsyncLiveStream(function(*args, **kwargs), now)
        await stream.prime()
        return stream

    return leaf
