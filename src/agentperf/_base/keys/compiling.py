"""Writing and compiling the function that gives the keys of one function's calls.

Binding arguments with `inspect` costs microseconds. Python binds them in a fraction of that when
it calls a function of the same signature, and says itself what is wrong with a wrong call.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from agentperf._base.keys.unkeyable import Unkeyable
from agentperf._base.keys.values import freeze
from agentperf.errors import UncacheableArgumentError

if TYPE_CHECKING:
    import inspect

KeyMaker = Callable[[tuple[Any, ...], dict[str, Any]], Hashable]
"""Gives the key of a call from its positional and its keyword arguments."""

# {_} stands for a prefix that no parameter's name begins with.
_BOUND = """
def {_}bound{signature}:
    try:
        return {key}
    except {_}Unkeyable:
        raise {_}explained({{{arguments}}}) from None

def {_}key({_}args, {_}kwargs):
    return {_}bound(*{_}args, **{_}kwargs)
"""

# The call most worth shortening; what it can't do, it leaves to the function above.
_QUICK = """
def {_}key({_}args, {_}kwargs):
    if not {_}kwargs:
        try:
            {parameters}, = {_}args
            return {key}
        except (ValueError, {_}Unkeyable):
            pass
    return {_}bound(*{_}args, **{_}kwargs)
"""


class Part(NamedTuple):
    """What one argument adds to the key.

    Attributes:
        parameter: The parameter it is passed for.
        frozen: Takes the argument, gives its part of the key.
    """

    parameter: str
    frozen: Callable[[Any], Hashable]


def compiled(
    function: str,
    signature: inspect.Signature,
    parts: Sequence[Part],
    template: str | None = None,
    option: str | None = "key",
    *,
    needed: str | None = None,
) -> KeyMaker:
    """Compile a key maker.

    Args:
        function: The function's `__qualname__`, for errors.
        signature: Its signature.
        parts: What the key consists of; a single part is the key itself.
        template: Begins the key, if given.
        option: The option that says what counts, for errors; only beside `key` there is `ignore`.
            None where nobody can say it.
        needed: The parameter that can't be ignored, if there is one.
    """

    def explained(arguments: Mapping[str, object]) -> UncacheableArgumentError:
        for parameter, frozen in parts:
            try:
                frozen(arguments[parameter])
            except Unkeyable as error:
                advice = _advice(option, parameter, needed)
                return _uncacheable(function, parameter, error, advice)
        return UncacheableArgumentError(
            f"{function}(): an argument can't be keyed every time", function=function
        )

    prefix = "_"
    while any(name.startswith(prefix) for name in signature.parameters):
        prefix += "_"
    names: dict[str, Any] = {
        "type": type,
        "str": str,
        "freeze": freeze,
        "template": template,
        "explained": explained,
        "Unkeyable": Unkeyable,
        **{f"freeze{number}": part.frozen for number, part in enumerate(parts)},
    }
    namespace = {prefix + name: value for name, value in names.items()}
    # The source consists of parameters' names, which are identifiers, and of names from here.
    source = _source(signature, parts, prefix, templated=template is not None)
    exec(compile(source, f"<key of {function}>", "exec"), namespace)  # noqa: S102
    _dress(namespace[f"{prefix}bound"], function, signature)
    maker: KeyMaker = namespace[f"{prefix}key"]
    return maker


def _source(
    signature: inspect.Signature, parts: Sequence[Part], prefix: str, *, templated: bool
) -> str:
    values = [f"{prefix}template"] if templated else []
    for number, (name, frozen) in enumerate(parts):
        by_value = f"{name} if {prefix}type({name}) is {prefix}str else {prefix}freeze({name})"
        values.append(by_value if frozen is freeze else f"{prefix}freeze{number}({name})")
    parameters = signature.parameters.values()
    quick = bool(parameters) and all(
        parameter.kind <= parameter.POSITIONAL_OR_KEYWORD and parameter.default is parameter.empty
        for parameter in parameters
    )
    return (_BOUND + _QUICK if quick else _BOUND).format(
        _=prefix,
        signature=_bare(signature),
        parameters=", ".join(signature.parameters),
        key=values[0] if len(values) == 1 else f"({''.join(f'{value}, ' for value in values)})",
        arguments=", ".join(f"{part.parameter!r}: {part.parameter}" for part in parts),
    )


def _bare(signature: inspect.Signature) -> inspect.Signature:
    """The signature without annotations; None stands in for every default."""
    empty = signature.empty
    return signature.replace(
        parameters=[
            parameter.replace(
                annotation=empty, default=empty if parameter.default is empty else None
            )
            for parameter in signature.parameters.values()
        ],
        return_annotation=empty,
    )


def _dress(bound: Any, function: str, signature: inspect.Signature) -> None:
    """Put in the real defaults, and the name that Python shows in its errors."""
    bound.__qualname__ = function
    defaults = [
        parameter
        for parameter in signature.parameters.values()
        if parameter.default is not parameter.empty
    ]
    bound.__defaults__ = tuple(
        parameter.default for parameter in defaults if parameter.kind != parameter.KEYWORD_ONLY
    )
    bound.__kwdefaults__ = {
        parameter.name: parameter.default
        for parameter in defaults
        if parameter.kind == parameter.KEYWORD_ONLY
    }


def _uncacheable(
    function: str, parameter: str, error: Unkeyable, advice: str
) -> UncacheableArgumentError:
    return UncacheableArgumentError(
        f"{function}(): the argument {parameter}{error.path} can't be keyed: {error.reason}. "
        f"{advice}, or define __agentperf_key__ on its class",
        function=function,
        parameter=parameter,
    )


def _advice(option: str | None, parameter: str, needed: str | None) -> str:
    if option is None:
        return "Give text, a number, or a tuple or dict of them"
    if parameter == needed:
        return f'Say what counts of each with {option}=..., such as {option}="{{{parameter}.id}}"'
    leave_out = f"Leave the parameter out with ignore=({parameter!r},), say"
    return (
        f"{leave_out if option == 'key' else 'Say'} what counts instead with {option}=..., such as "
        f'{option}=("user_id", "prompt") or {option}="{{user.id}}:{{prompt}}"'
    )
