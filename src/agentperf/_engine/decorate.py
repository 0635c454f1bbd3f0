"""Puts policies around a callable: one wrapper per function, of the function's own colour."""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Generator
from types import CoroutineType
from typing import Any

from agentperf._base.callables import Shape, undressed
from agentperf._engine.bindings import Step, Token
from agentperf._engine.current import current_bindings, current_host, current_steps
from agentperf._engine.order import warn_of_harm
from agentperf._engine.pipeline import Pipeline, pipeline_of
from agentperf._engine.site import Bindable, Target
from agentperf._engine.streams import TurnedAsync
from agentperf.errors import ConfigurationError


def decorate(policies: tuple[Bindable, ...], function: Any) -> Any:
    """Put `policies`, outermost first, around `function`.

    A function that is decorated already gets a new wrapper with a longer pipeline; the one beneath
    stays as it is. Class and static methods, partial methods, partials and callable objects keep
    their kind.

    Raises:
        ConfigurationError: It is a class, a property, or nothing that can be called; or a policy
            can't serve it.
    """
    if isinstance(function, classmethod | staticmethod):
        return type(function)(decorate(policies, function.__func__))
    if isinstance(function, functools.partialmethod):
        inside = decorate(policies, function.func)
        return functools.partialmethod(inside, *function.args, **function.keywords)
    _refuse_what_cannot_be_decorated(function, policies)
    beneath = pipeline_of(function)
    if beneath is None:
        pipeline = Pipeline(policies, Target(function, _covered(function)))
    else:
        pipeline = Pipeline(policies + beneath.policies, beneath.target)
    for policy in policies:
        policy.check(pipeline.target)
    if len(pipeline.policies) > 1:
        before = () if beneath is None else beneath.policies
        warn_of_harm(pipeline.target.operation, pipeline.policies, before)
    return wrap(pipeline)


def _refuse_what_cannot_be_decorated(thing: object, policies: tuple[Bindable, ...]) -> None:
    if inspect.isclass(thing):
        raise ConfigurationError(
            f"{thing.__qualname__} is a class; decorate its methods, such as {thing.__name__}.run"
        )
    if isinstance(thing, property | functools.cached_property):
        raise ConfigurationError("a property can't be decorated; put the decorator below @property")
    if not callable(thing):
        raise ConfigurationError(
            f"{thing!r} can't be called; decorate a function:\n\n"
            f"    @{policies[0].kind}(...)\n    def f(x): ..."
        )


def wrap(pipeline: Pipeline) -> Callable[..., Any]:
    """Make the wrapper of a pipeline."""
    function: Any = pipeline.target.function
    wrapper: Any = _WRAPPERS[pipeline.target.shape](pipeline)
    if inspect.isroutine(function):
        functools.update_wrapper(wrapper, function)
        wrapper.__agentperf__ = pipeline
    else:
        from agentperf._engine.objects import CallableProxy

        functools.update_wrapper(wrapper, function.__call__)
        wrapper = CallableProxy(function, wrapper, pipeline, decorate)
    pipeline.belongs_to(wrapper)
    return wrapper  # type: ignore[no-any-return]


def _covered(function: object) -> frozenset[Token]:
    """Find our own wrappers further in: behind decorators that are not ours, partials, methods."""
    tokens: set[Token] = set()

    def look(inside: object) -> bool:
        if (pipeline := pipeline_of(inside)) is not None:
            tokens.add(pipeline.token)
        return False

    # A stand-in for something remote may have any attribute, and so be wrapped without end.
    with contextlib.suppress(ValueError):
        inspect.unwrap(undressed(function), stop=look)
    return frozenset(tokens)


# Each wrapper holds its pipeline: a coroutine or generator may begin after the decorated object has
# gone, as in `await timed(partial(f))()`.


def _bind(pipeline: Pipeline) -> Step:
    return current_bindings().bind(pipeline, current_steps.get(pipeline.steps))


def _wrap_function(pipeline: Pipeline) -> Callable[..., Any]:
    token, own, steps = pipeline.token, pipeline.steps, current_steps.get

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            step = steps(own)[token]
        except KeyError:
            step = None
        if step is None:  # not inside `except`, which every error of the call would then show
            step = _bind(pipeline)
        try:
            return step(args, kwargs)
        except TurnedAsync as turned:
            return pipeline.turned_async(current_host(), turned.awaitable)(args, kwargs)

    return wrapper


def _wrap_coroutine(pipeline: Pipeline) -> Callable[..., Any]:
    token, own, steps = pipeline.token, pipeline.steps, current_steps.get

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            step = steps(own)[token]
        except KeyError:
            step = None
        if step is None:  # not inside `except`, which every error of the call would then show
            step = _bind(pipeline)
        value = step(args, kwargs)
        return await value if type(value) is CoroutineType else value

    return wrapper


def _wrap_generator(pipeline: Pipeline) -> Callable[..., Any]:
    token, own, steps = pipeline.token, pipeline.steps, current_steps.get

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        step = steps(own).get(token) or _bind(pipeline)
        return (yield from step(args, kwargs))

    return wrapper


def _wrap_async_generator(pipeline: Pipeline) -> Callable[..., Any]:
    token, own, steps = pipeline.token, pipeline.steps, current_steps.get

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        step = steps(own).get(token) or _bind(pipeline)
        stream = step(args, kwargs)
        if type(stream) is CoroutineType:
            stream = await stream
        # `yield from` for asynchronous generators, spelled out: what comes in goes to the stream.
        try:
            item = await stream.__anext__()
            while True:
                try:
                    sent = yield item
                except GeneratorExit:
                    raise
                except BaseException as error:  # noqa: BLE001 - thrown in by the consumer
                    item = await stream.athrow(error)
                else:
                    item = await stream.asend(sent)
        except StopAsyncIteration:
            return
        finally:
            await stream.aclose()

    return wrapper


_WRAPPERS: dict[Shape, Callable[[Pipeline], Callable[..., Any]]] = {
    Shape.FUNCTION: _wrap_function,
    Shape.COROUTINE: _wrap_coroutine,
    Shape.GENERATOR: _wrap_generator,
    Shape.ASYNC_GENERATOR: _wrap_async_generator,
}
