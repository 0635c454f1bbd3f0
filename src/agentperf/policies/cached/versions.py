"""The version of a function as part of its keys: another version finds other entries."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable, Iterator
from hashlib import blake2b
from types import CodeType, FunctionType
from typing import Any

from agentperf._base.callables import undressed
from agentperf._base.keys import Unkeyable, digest, freeze
from agentperf.errors import ConfigurationError
from agentperf.policies.cached.state import KeyOf

AUTO = "auto"


def versioned(key_of: KeyOf, version: str) -> KeyOf:
    """Keep the keys of different versions apart."""
    mark = ("version", version)  # no frozen value begins so
    return lambda args, kwargs: (key_of(args, kwargs), mark)


def version_of(function: Callable[..., Any], version: str) -> str:
    """Return the version that was given, or for `"auto"` one that is made from the code.

    Raises:
        ConfigurationError: The function has no Python code to make one from.
    """
    if version != AUTO:
        return version
    functions = [each for each in _layers(function) if isinstance(each, FunctionType)]
    if not functions:
        name = getattr(function, "__qualname__", type(function).__qualname__)
        raise ConfigurationError(
            f'version="auto": {name} has no Python code to make a version from; say one yourself, '
            'such as version="2"'
        )
    made = blake2b(digest_size=16)
    for each in functions:
        made.update(_of_function(each))
    return made.hexdigest()


def _layers(function: Any) -> Iterator[Any]:
    """Give the function and, where foreign decorators are around it, what they wrap."""
    seen: set[int] = set()
    while callable(function) and id(function) not in seen:
        seen.add(id(function))
        inside = undressed(function)
        yield inside if inspect.isroutine(inside) else type(inside).__call__
        function = getattr(inside, "__wrapped__", None)


def _of_function(function: FunctionType) -> bytes:
    defaults = function.__defaults__ or (), tuple(sorted((function.__kwdefaults__ or {}).items()))
    cells = [_content(cell) for cell in function.__closure__ or ()]
    parts = [_of_code(function.__code__), _of_value(defaults), *map(_of_value, cells)]
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


def _of_code(code: CodeType) -> bytes:
    """Write down what a code object does; not where it stands, nor what it is called."""
    facts = (
        code.co_code,
        code.co_exceptiontable,
        code.co_names,
        code.co_varnames,
        code.co_freevars,
        code.co_cellvars,
        code.co_argcount,
        code.co_posonlyargcount,
        code.co_kwonlyargcount,
        code.co_flags,
    )
    return b"%b(%b)" % (repr(facts).encode(), b",".join(map(_of_constant, code.co_consts)))


def _of_constant(constant: object) -> bytes:
    if isinstance(constant, CodeType):
        return b"code:" + _of_code(constant)
    if isinstance(constant, tuple):
        return b"(%b)" % b",".join(map(_of_constant, constant))
    if isinstance(constant, frozenset):  # its order is another in each process
        return b"{%b}" % b",".join(sorted(map(_of_constant, constant)))
    return f"{type(constant).__name__}:{constant!r}".encode("utf-8", "backslashreplace")


def _content(cell: Any) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _of_value(value: object) -> bytes:
    """Write down a value where it has a key in every process; else its type, or its code."""
    if isinstance(value, tuple):
        return b"(%b)" % b",".join(map(_of_value, value))
    if isinstance(value, FunctionType):
        code = getattr(inspect.unwrap(value), "__code__", None)
        return _of_code(code) if isinstance(code, CodeType) else b"function"
    try:
        frozen: Hashable = freeze(value)
        return digest(frozen).encode()
    except (Unkeyable, TypeError):
        return f"{type(value).__module__}.{type(value).__qualname__}".encode()
