"""Keys of calls, made by a function that is compiled once per decorated function.

Binding arguments with `inspect` costs microseconds. Python binds them in a fraction of that when
it calls a function of the same signature, and says itself what is wrong with a wrong call.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from agentperf._base.keys.template import parse_fields
from agentperf._base.keys.values import freeze
from agentperf.errors import ConfigurationError

if TYPE_CHECKING:
    import inspect

KeyMaker = Callable[[tuple[Any, ...], dict[str, Any]], Hashable]
"""Gives the key of a call from its positional and its keyword arguments."""

_EXAMPLES = 'key="user_id", key=("user_id", "messages"), key="{user_id}:{messages}" or a function'

# `_` stands for a prefix that no parameter's name begins with.
_BOUND = """
def _bound{signature}:
    try:
        return {key}
    except _Unkeyable:
        raise _explained({{{arguments}}}) from None

def _key(_args, _kwargs):
    return _bound(*_args, **_kwargs)
"""
_QUICK = """
def _key(_args, _kwargs):
    if not _kwargs:
        try:
            {names}, = _args
            return {key}
        except (ValueError, _Unkeyable):
            pass
    return _bound(*_args, **_kwargs)
"""


class _Part(NamedTuple):
    """What one parameter, or one field of a template, adds to the key."""

    parameter: str
    frozen: Callable[[Any], Hashable]


def key_maker(
    function_name: str,
    signature: inspect.Signature,
    *,
    ignore: Collection[str] = (),
    key: Sequence[str] | str | Callable[..., object] | None = None,
    instance: Callable[[object], Hashable] | None = None,
) -> KeyMaker:
    """Compile the function that gives the keys of a function's calls.

    Keys are taken over the bound arguments with defaults applied, so `f(1, 2)`, `f(1, b=2)` and
    `f(a=1, b=2)` share one. One parameter gives its frozen value, several give a tuple of them.

    Args:
        function_name: The function's `__qualname__`, for errors.
        signature: Its signature.
        ignore: Parameters that don't count.
        key: What counts instead of all parameters: the names of parameters, a template such as
            `"{user.id}:{messages}"` (its fields' values count, not their text), or a function
            that is called with the call's arguments and gives a value.
        instance: Gives what an instance is keyed by, if the first parameter is a method's `self`;
            a class that defines `__agentperf_key__` decides itself. With `key` given, `self`
            counts only if it is named there.

    Returns:
        A function of `args` and `kwargs`, both passed as plain positional arguments. It raises
        `UncacheableArgumentError` for an argument without a key, and for a wrong call the very
        `TypeError` that the function would raise.

    Raises:
        ConfigurationError: `ignore` or `key` is malformed, or names no parameter.
    """
    if key is not None and ignore:
        raise ConfigurationError(
            f"key={key!r} and ignore={ignore!r} of {function_name}() exclude each other: "
            f"say either what counts ({_EXAMPLES}) or what doesn't (ignore=('client',))"
        )
    if callable(key):
        return _by_function(function_name, signature, key)
    of_self = next(iter(signature.parameters), None) if instance else None

    def part(parameter: str) -> _Part:
        of_instance = instance if parameter == of_self else None
        return _Part(parameter, _instance_freezer(of_instance) if of_instance else freeze)

    if isinstance(key, str) and ("{" in key or "}" in key):
        fields = parse_fields(key)
        _check(function_name, signature, "key", key, [field.parameter for field in fields])
        parts = [_field_part(field, part(field.parameter)) for field in fields]
        return _compiled(function_name, signature, parts, template=key)
    if key is None:
        left_out = _names(function_name, signature, "ignore", ignore)
        chosen = [name for name in signature.parameters if name not in left_out]
    else:
        wanted = _names(function_name, signature, "key", key)
        _check(function_name, signature, "key", key, wanted)
        chosen = [name for name in signature.parameters if name in wanted]
    return _compiled(function_name, signature, [part(name) for name in chosen])
