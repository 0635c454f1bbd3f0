"""What of a call's arguments makes its key."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from agentperf._base.callables import asked, refuse_async
from agentperf._base.keys.compiling import KeyMaker, Part, compiled
from agentperf._base.keys.template import Field, parse_fields
from agentperf._base.keys.unkeyable import Unkeyable
from agentperf._base.keys.values import HOOK, freeze
from agentperf.errors import ConfigurationError, UncacheableArgumentError

if TYPE_CHECKING:
    import inspect

_KEY_EXAMPLE = (
    'write {0}="user_id", {0}=("user_id", "prompt"), {0}="{{user.id}}:{{prompt}}" '
    "or {0}=lambda user, prompt: user.id"
)
_IGNORE_EXAMPLE = 'write ignore="client" or ignore=("client", "trace_id")'


def key_maker(
    function_name: str,
    signature: inspect.Signature,
    *,
    ignore: Collection[str] = (),
    key: Sequence[str] | str | Callable[..., object] | None = None,
    instance: Callable[[object], Hashable] | None = None,
    option: str | None = "key",
    needed: str | None = None,
) -> KeyMaker:
    """Compile the function that gives the keys of a function's calls.

    Keys are taken over the bound arguments with defaults applied, so `f(1, 2)`, `f(1, b=2)` and
    `f(a=1, b=2)` share one. One parameter gives its frozen value, several give a tuple of them.

    Args:
        function_name: The function's `__qualname__`, for errors.
        signature: Its signature.
        ignore: Parameters that don't count.
        key: What counts instead of all parameters: names of parameters, a template such as
            `"{user.id}:{messages}"` (its fields' values count, not their text), or a function
            that is called with the call's arguments and gives a value.
        instance: Gives what an instance is keyed by, if the first parameter is a method's `self`;
            a class that defines `__agentperf_key__` decides itself. With `key` given, `self`
            counts only if it is named there.
        option: What `key` is called where the user wrote it, for errors; None where it is not the
            user who says it.
        needed: The parameter that can't be left out, if there is one.

    Returns:
        A function of `args` and `kwargs`, both passed as plain positional arguments. It raises
        `UncacheableArgumentError` for an argument without a key, and for a wrong call the very
        `TypeError` that the function would raise.

    Raises:
        ConfigurationError: `ignore` or `key` is malformed, or names no parameter.
    """
    named = option or "key"
    example = _KEY_EXAMPLE.format(named)
    if key is not None and ignore:
        raise ConfigurationError(
            f"{named}={key!r} and ignore={ignore!r} of {function_name}() exclude each other: "
            f"{example}; or {_IGNORE_EXAMPLE}"
        )
    if callable(key):
        refuse_async(named, key, example)
        return _by_function(function_name, signature, key, named)

    freezers: dict[str, Callable[[Any], Hashable]] = dict.fromkeys(signature.parameters, freeze)
    if instance is not None and freezers:
        freezers[next(iter(freezers))] = _instance_freezer(instance)

    if isinstance(key, str) and ("{" in key or "}" in key):
        parts = [
            _field_part(field, freezers[field.parameter])
            for field in _fields(function_name, signature, key, named)
        ]
        return compiled(function_name, signature, parts, template=key, option=option, needed=needed)
    if key is None:
        ignored = _named(function_name, signature, f"{ignore=}", ignore, _IGNORE_EXAMPLE)
        chosen = freezers.keys() - ignored
    else:
        given = f"{named}={key!r}"
        chosen = _named(function_name, signature, given, key, example)
        if not chosen:
            raise ConfigurationError(f"{given} of {function_name}() is empty; {example}")
    parts = [Part(name, frozen) for name, frozen in freezers.items() if name in chosen]
    return compiled(function_name, signature, parts, option=option, needed=needed)


def _named(
    function: str, signature: inspect.Signature, option: str, given: object, example: str
) -> set[str]:
    """Read an option that names parameters; a single one needs no tuple around it."""
    names = (given,) if isinstance(given, str) else given
    if not isinstance(names, Collection) or not all(isinstance(name, str) for name in names):
        raise ConfigurationError(f"{option} of {function}() doesn't name parameters; {example}")
    for name in names:
        _check_known(function, signature, option, name, example)
    return set(names)


def _fields(
    function: str, signature: inspect.Signature, template: str, option: str
) -> tuple[Field, ...]:
    given, example = f"{option}={template!r}", _KEY_EXAMPLE.format(option)
    fields = parse_fields(template, option)
    if not fields:
        raise ConfigurationError(f"{given} of {function}() has no fields; {example}")
    for field in fields:
        _check_known(function, signature, given, field.parameter, example)
    return fields


def _check_known(
    function: str, signature: inspect.Signature, option: str, name: str, example: str
) -> None:
    if name in signature.parameters:
        return
    from difflib import get_close_matches

    close = get_close_matches(name, signature.parameters, n=1)
    suggestion = f" (did you mean {close[0]!r}?)" if close else ""
    raise ConfigurationError(
        f"{option}: {function}() has no parameter {name!r}{suggestion}; {example}"
    )


def _instance_freezer(instance: Callable[[object], Hashable]) -> Callable[[Any], Hashable]:
    # Looking in vain for an attribute costs more than all the rest: once per class in a row.
    plain: type | None = None

    def frozen(value: object) -> Hashable:
        nonlocal plain
        kind = type(value)
        if kind is not plain:
            if hasattr(kind, HOOK):
                return freeze(value)
            plain = kind
        return instance(value)

    return frozen


def _field_part(field: Field, whole: Callable[[Any], Hashable]) -> Part:
    if not field.path:
        return Part(field.parameter, whole)

    def frozen(value: object) -> Hashable:
        try:
            found = field.read(value)
        except (AttributeError, LookupError, TypeError) as error:
            raise Unkeyable(f"{{{field.parameter}{field.path}}} isn't there ({error!r})") from error
        try:
            return freeze(found)
        except Unkeyable as error:
            error.within(field.path)
            raise

    return Part(field.parameter, frozen)


def _by_function(
    function: str, signature: inspect.Signature, key: Callable[..., object], option: str
) -> KeyMaker:
    check = compiled(function, signature, ())

    def maker(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hashable:
        check(args, kwargs)  # `key` may take what the function wouldn't
        value = asked(key, args, kwargs, option=option, function=function, signature=signature)
        try:
            return freeze(value)
        except Unkeyable as error:
            raise UncacheableArgumentError(
                f"{function}(): what {option}= gave can't be keyed{error.path and ' at '}"
                f"{error.path}: {error.reason}. Let it give text, numbers, or tuples and dicts "
                "of them",
                function=function,
            ) from None

    return maker
