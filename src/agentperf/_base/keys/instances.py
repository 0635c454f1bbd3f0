"""Tokens that stand for instances in keys, for as long as the instances live."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

from agentperf._base.keys.unkeyable import Unkeyable, described

if TYPE_CHECKING:
    import inspect


class _Reference(weakref.ref[Any]):
    __slots__ = ("address", "token")

    address: int
    token: tuple[str, int]


class InstanceTokens:
    """Gives every instance a token of its own, by identity.

    Instances need neither `__hash__` nor `__eq__`. The tokens are numbered and no number is given
    twice, so an object that comes to lie where another one lay can't inherit its token. A token
    goes with its instance. Threads may share one object of this class.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._references = references = dict[int, _Reference]()

        # Python runs this before it gives the address away. It takes no lock, because a collection
        # may run it in the middle of anything, also of `_new`.
        def forget(reference: _Reference) -> None:
            if references.get(reference.address) is reference:
                references.pop(reference.address, None)

        self._forget: Callable[[_Reference], None] = forget

    def __call__(self, instance: object) -> Hashable:
        """Give the instance's token.

        Raises:
            Unkeyable: It can't be weakly referenced.
        """
        known = self._references.get(id(instance))
        if known is not None and known() is instance:
            return known.token
        return self._new(instance)

    def __len__(self) -> int:
        """Count the living instances that have a token."""
        return len(self._references)

    def _new(self, instance: object) -> Hashable:
        try:
            reference = _Reference(instance, self._forget)
        except TypeError:
            raise Unkeyable(
                f"{described(type(instance))} can't be weakly referenced: add '__weakref__' to the "
                "__slots__ of its class, or define __agentperf_key__ there"
            ) from None
        reference.address = id(instance)
        reference.token = ("self", next(self._numbers))
        kept = self._references.setdefault(reference.address, reference)
        if kept() is not instance:
            self._references[reference.address] = kept = reference
        return kept.token


def method_self(function: Callable[..., Any], signature: inspect.Signature) -> bool:
    """Tell whether a function was defined in a class body, with `self` or `cls` first."""
    owner, _, _ = getattr(function, "__qualname__", "").rpartition(".")
    first = next(iter(signature.parameters), None)
    return first in ("self", "cls") and bool(owner) and not owner.endswith("<locals>")
