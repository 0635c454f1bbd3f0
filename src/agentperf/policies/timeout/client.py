"""The timeout that a function hands on to its client, set to what is left."""

from __future__ import annotations

import inspect
from typing import Any, TypeGuard

from agentperf._engine.resuming import changed, takes_any

Args = tuple[Any, ...]
Kwargs = dict[str, Any]

_LEFT_OUT: Any = object()


class ClientTimeout:
    """A parameter that takes seconds.

    Args:
        signature: That of the function.
        name: What the parameter is called.
    """

    def __init__(self, signature: inspect.Signature, name: str) -> None:
        self._signature = signature
        self._name = name
        self._rest = takes_any(signature)
        self._default = _default(signature, name)

    @property
    def is_there(self) -> bool:
        """Whether the function takes it."""
        return self._name in self._signature.parameters or self._rest is not None

    def bounded(self, seconds: float, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
        """Return the arguments of a call whose client gives up after `seconds`.

        A shorter time that the caller asks for counts, and so does what is no number, such as a
        client's own object with times for reading and writing.
        """
        try:
            given = self._given(args, kwargs)
            if given is not None and given is not _LEFT_OUT and not _is_number(given):
                return args, kwargs
            wanted = self._default if given is _LEFT_OUT else given
            within = min(wanted, seconds) if _is_number(wanted) else seconds
            return changed(self._signature, {self._name: within}, args, kwargs)
        except TypeError:  # the call doesn't fit: the function itself says so best
            return args, kwargs

    def _given(self, args: Args, kwargs: Kwargs) -> Any:
        given = self._signature.bind(*args, **kwargs).arguments
        rest = given.get(self._rest, {}) if self._rest else {}
        return given.get(self._name, rest.get(self._name, _LEFT_OUT))


def _default(signature: inspect.Signature, name: str) -> Any:
    parameter = signature.parameters.get(name)
    return None if parameter is None else parameter.default


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
