"""Why a value has no key."""

from __future__ import annotations

from agentperf.errors import UncacheableArgumentError

_LONGEST_PATH = 60


class Unkeyable(UncacheableArgumentError):
    """A value has no key.

    Attributes:
        reason: What can't be keyed and why, in one clause.
        path: Where it sits inside the value to be frozen, such as `[3]['client']`.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.path = ""

    def within(self, step: str) -> None:
        """Note, on the way out, one more step of the path."""
        path = step + self.path
        self.path = path if len(path) <= _LONGEST_PATH else path[: _LONGEST_PATH - 1] + "…"


def described(kind: type) -> str:
    """Name a thing of that type in a sentence: `a Client object`."""
    name = kind.__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name} object"


def without_value(kind: type) -> Unkeyable:
    """Give the error for a thing whose type nothing recognises as a value."""
    if hasattr(kind, "__await__"):
        reason = "can be awaited only once"
    elif hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        reason = "is used up by reading it"
    else:
        reason = "can be told apart from others only by its address"
    return Unkeyable(f"{described(kind)} {reason}")
