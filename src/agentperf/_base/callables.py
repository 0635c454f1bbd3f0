"""What kind of callable a thing is, and what to call it."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentperf.errors import ConfigurationError


class Shape(enum.Enum):
    """The four shapes of a call."""

    FUNCTION = "function"
    COROUTINE = "async function"
    GENERATOR = "generator"
    ASYNC_GENERATOR = "async generator"

    @property
    def is_async(self) -> bool:
        """Whether a call of this shape is driven by an event loop."""
        return self in (Shape.COROUTINE, Shape.ASYNC_GENERATOR)

    @property
    def streams(self) -> bool:
        """Whether a call of this shape always gives a stream."""
        return self in (Shape.GENERATOR, Shape.ASYNC_GENERATOR)


_TESTS: tuple[tuple[Callable[[object], bool], Shape], ...] = (
    (inspect.iscoroutinefunction, Shape.COROUTINE),
    (inspect.isasyncgenfunction, Shape.ASYNC_GENERATOR),
    (inspect.isgeneratorfunction, Shape.GENERATOR),
)


def shape_of(function: Callable[..., Any]) -> Shape:
    """Tell the shape of a function, a partial or a callable object, by its code."""
    inside = undressed(function)
    candidates: list[object] = [inside]
    if not inspect.isroutine(inside):
        candidates.append(type(inside).__call__)
    for candidate in candidates:
        for is_it, shape in _TESTS:
            if is_it(candidate):
                return shape
    return Shape.FUNCTION


def undressed(function: Any) -> Any:
    """Return the function in a partial or a bound method, anything else as it is."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        else:
            return function


def refuse_async(option: str, given: Callable[..., Any], example: str) -> None:
    """Refuse an async function where a plain one is needed: nobody would await what it gives.

    Args:
        option: The option it was given for.
        given: The function.
        example: What to write instead.

    Raises:
        ConfigurationError: It is one.
    """
    if shape_of(given).is_async:
        raise ConfigurationError(
            f"{option}={name_of(given)}: an {shape_of(given).value} would never be awaited here; "
            f"give a plain one: {example}"
        )


def name_of(function: Callable[..., Any]) -> str:
    """Return what a function is called; of anything else the name of its class."""
    inside: Any = undressed(function)
    return str(getattr(inside, "__qualname__", type(inside).__name__))


def takes(function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a callable has parameters for these arguments."""
    try:
        signature_of(function).bind(*args, **kwargs)
    except TypeError:
        return False
    return True


def asked(
    given: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    option: str,
    function: str,
    signature: inspect.Signature,
) -> Any:
    """Return what a callable of the user's gives for the arguments of a call.

    Args:
        given: The callable.
        args: The arguments of the call.
        kwargs: The same.
        option: The option it was given for.
        function: The name of the function that is called.
        signature: The function's parameters.

    Raises:
        ConfigurationError: It doesn't have the parameters of the function.
        TypeError: The call itself is wrong; or by what the callable does, as any other error.
    """
    try:
        return given(*args, **kwargs)
    except TypeError as error:
        if takes(given, args, kwargs):
            raise  # by what it does
        signature.bind(*args, **kwargs)  # a wrong call is told as the function would
        shown = ", ".join(map(str, signature.parameters))
        raise ConfigurationError(
            f"{option}= of {function}() can't be called as the function itself is ({error}): "
            f"give it the same parameters, as in {option}=lambda {shown}: ..."
        ) from error


def is_decorated_bare(thing: object) -> bool:
    """Whether a decorator's only argument is what it decorates, not an option of it.

    Class methods, partial methods and properties can't be called themselves.
    """
    return callable(thing) or hasattr(type(thing), "__get__")


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """Return the signature, or one that takes anything where Python knows none."""
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return inspect.signature(_anything)


def _anything(*args: object, **kwargs: object) -> None: ...
