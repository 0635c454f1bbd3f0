"""What tells a cached function from all others that keep their answers in the same backend."""

from __future__ import annotations

import functools
import secrets
import types
from collections.abc import Hashable
from typing import Any

from agentperf._base.keys import Unkeyable, digest, freeze
from agentperf._engine.site import Target
from agentperf.errors import ConfigurationError

Identity = tuple[Hashable, ...]

_PLAIN = types.FunctionType | types.BuiltinFunctionType | type
_NEITHER = object()


def identity_of(target: Target, name: str | None, *, shared: bool) -> Identity:
    """Return what a function's cache is known by in its backend.

    A partial, a method that was taken from an object, and an object that can be called are known by
    what they hold as well: two partials of one function are two functions.

    Args:
        target: The function.
        name: The name that the cache is shared by, if any; it then stands for all the rest.
        shared: Whether other processes use the backend.

    Raises:
        ConfigurationError: Other processes couldn't tell the function from another one.
    """
    if name is not None:
        return ("name", name)
    why = None
    if "<" in target.operation:  # `<locals>` or `<lambda>`: there may be many of that name
        why = "can't be told from other functions of that name"
    elif not isinstance(target.function, _PLAIN):
        try:
            return ("operation", target.operation, digest(_held(target.function)))
        except Unkeyable as error:
            why = f"holds what has no key ({error}), so that it can't be told from others"
    if why is None:
        return ("operation", target.operation)
    if shared:
        raise ConfigurationError(
            f"{target.operation} {why} by the other users of its backend: give the cache a name, "
            'cached(..., name="search")'
        )
    return ("operation", target.operation, secrets.token_hex(8))


def named_instance(instance: object) -> Hashable:
    """Return what stands for an instance in a key that others read; a class goes by its name.

    Raises:
        Unkeyable: It is neither a class nor a client, and its class doesn't say what it is keyed
            by.
    """
    if isinstance(instance, type):
        return freeze(instance)
    if (client := _client(instance)) is not None:
        return client
    raise Unkeyable(
        "other processes can't know it: its class has to say what it is keyed by, such as "
        "def __agentperf_key__(self): return self.model"
    )


def _held(function: Any) -> Hashable:
    if isinstance(function, functools.partial):
        given = freeze((function.args, function.keywords))
        return ("partial", _held(function.func), given)
    if isinstance(function, types.MethodType) and (client := _client(function.__self__)):
        return ("method", client, function.__name__)
    return freeze(function)


def _client(instance: Any) -> Hashable | None:
    """Return what stands for a model client, or for a part of one such as `client.embeddings`.

    That is where it sends its calls and on whose behalf, as far as the clients of `openai` and
    `anthropic` say it. Only a digest of it is ever kept.
    """
    client = getattr(instance, "_client", instance)
    where = getattr(client, "base_url", _NEITHER)
    who = getattr(client, "api_key", _NEITHER)
    if where is _NEITHER or who is _NEITHER:
        return None
    said = [getattr(client, name, None) for name in ("organization", "project")]
    extra = [getattr(client, name, None) for name in ("_custom_headers", "_custom_query")]
    return ("client", digest(freeze((type(client), str(where), who, said, extra))))
