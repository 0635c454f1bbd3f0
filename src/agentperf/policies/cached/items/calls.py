"""Calls for a batch, taken apart into what each would be for one item."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from agentperf._base.keys import parse_fields
from agentperf._engine.site import Target
from agentperf.errors import ConfigurationError, UncacheableArgumentError, UncacheableValueError
from agentperf.policies.cached.options import CacheOptions

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

_EXAMPLE = 'per_item="texts" for def embed(texts: list[str]) -> list[list[float]]'


class Batch(NamedTuple):
    """A call for several items.

    Attributes:
        items: The items, a list or a tuple.
        put: Gives the arguments of the call with something else in place of the items.
    """

    items: Sequence[Any]
    put: Callable[[Any], tuple[Args, Kwargs]]

    def only(self, items: list[Any]) -> tuple[Args, Kwargs]:
        """Give the arguments of the call for some of the items."""
        return self.put(tuple(items) if type(self.items) is tuple else items)


class PerItem:
    """Which parameter of a function takes the items, and what comes of them.

    Args:
        target: The function.
        options: The options of its cache; `per_item` names the parameter.

    Raises:
        ConfigurationError: The function can't be cached that way, or the options don't fit.
    """

    def __init__(self, target: Target, options: CacheOptions) -> None:
        self._function = getattr(target.function, "__qualname__", target.operation)
        self._name = name = typing.cast(str, options.per_item)
        parameters = target.signature.parameters
        if name not in parameters:
            from difflib import get_close_matches

            close = get_close_matches(name, parameters, n=1)
            hint = f" (did you mean {close[0]!r}?)" if close else ""
            raise self._unfit(f"{self._function}() has no parameter {name!r}{hint}")
        self._parameter = parameters[name]
        if self._parameter.kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
        ):
            raise self._unfit(f"{self._parameter} is no single list of items")
        if target.shape.streams:
            raise self._unfit(f"{self._function}() gives a stream, not a list with one result each")
        if not _counts(name, options):
            raise self._unfit("the parameter doesn't count: all items would have the same key")
        self._place = list(parameters).index(name)
        self._kind = _kind_of(target.function)

    def _unfit(self, why: str) -> ConfigurationError:
        return ConfigurationError(f"per_item={self._name!r}: {why}; write {_EXAMPLE}")

    def split(self, args: Args, kwargs: Kwargs) -> Batch | None:
        """Take a call apart; None for one that lacks the parameter, which Python refuses.

        Raises:
            UncacheableArgumentError: What was passed for it is neither a list nor a tuple.
        """
        name, place = self._name, self._place
        if place < len(args):
            items = args[place]
        elif name in kwargs and self._parameter.kind is not inspect.Parameter.POSITIONAL_ONLY:
            items = kwargs[name]
        elif self._parameter.default is not inspect.Parameter.empty:
            items = self._parameter.default
        else:
            return None
        if type(items) is not list and type(items) is not tuple:
            raise UncacheableArgumentError(
                f"{self._function}(): per_item={name!r} takes a list or a tuple of items, not "
                f"{type(items).__name__}: pass [{name}] for one, or list({name})",
                function=self._function,
                parameter=name,
            )

        def put(value: Any) -> tuple[Args, Kwargs]:
            if place < len(args):
                return (*args[:place], value, *args[place + 1 :]), kwargs
            if self._parameter.kind is inspect.Parameter.POSITIONAL_ONLY:
                return (*args, value), kwargs
            return args, {**kwargs, name: value}

        return Batch(items, put)

    def each(self, args: Args, kwargs: Kwargs) -> list[tuple[Args, Kwargs]]:
        """Give the calls for one item each that a call stands for."""
        batch = self.split(args, kwargs)
        return [] if batch is None else [batch.put(item) for item in batch.items]

    def single(self, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        """Give the call for one item that a call stands for.

        Raises:
            ConfigurationError: It is for none, or for several.
        """
        calls = self.each(args, kwargs)
        if len(calls) != 1:
            raise self._unfit(
                f"each item has a key of its own: ask for one, such as explain([{self._name}[0]])"
            )
        return calls[0]

    def results(self, given: Any, expected: int) -> Sequence[Any]:
        """Return what the function gave: one result an item.

        Raises:
            UncacheableValueError: It is nothing like that.
        """
        if not isinstance(given, list | tuple):
            what = f"is {type(given).__name__}"
        elif len(given) != expected:
            what = f"has {len(given)}"
        else:
            return given
        raise UncacheableValueError(
            f"{self._function}(): per_item={self._name!r}: {expected} items were asked for, and "
            f"the result {what}; return a list with one result for each item, in their order"
        )

    def whole(self, results: list[Any]) -> Any:
        """Put the results together as the function says that it returns them."""
        return self._kind(results)


def _counts(name: str, options: CacheOptions) -> bool:
    key = options.key
    if key is None or callable(key):
        return name not in options.ignore
    if isinstance(key, str):
        return name == key or ("{" in key and name in [f.parameter for f in parse_fields(key)])
    return name in key


def _kind_of(function: Callable[..., Any]) -> type:
    try:
        annotation = typing.get_type_hints(function).get("return")
    except Exception:  # noqa: BLE001 - names that exist for type checkers only
        return list
    return tuple if annotation is tuple or typing.get_origin(annotation) is tuple else list
