"""What can't be written, and what can't be read."""

from __future__ import annotations

from agentperf.errors import BackendError, UncacheableValueError

_LONGEST_PATH = 60

DAMAGED = "it is damaged"
FOREIGN = "it was not written by agentperf"
OTHER_VERSION = "it is of another version of the format"
UNKNOWN_CLASS = "its class is unknown or has changed"
UNSIGNED = "it is not signed"
WRONGLY_SIGNED = "its signature is wrong"
PICKLED = "it is a pickle"
TOO_LARGE = "it is too large"
NO_DECOMPRESSION = "it is compressed, and the extra is not installed"


class Undecodable(BackendError):
    """Stored bytes are no value that this process can read: for a cache, a miss.

    They may be damaged, cut off, written by another version of agentperf or of the class, of a
    class unknown to this process, signed with another secret or not at all, or hostile.

    Attributes:
        reason: Which of these, as a short fixed phrase; the message may quote the bytes.
    """

    def __init__(self, message: str, reason: str = DAMAGED) -> None:
        super().__init__(message)
        self.reason = reason


class Unstorable(UncacheableValueError):
    """A value can't be written.

    Attributes:
        reason: What can't be stored and why, in one clause.
        path: Where it sits inside the value, such as `.items[3].callback`.
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
    if name in {"function", "generator", "coroutine", "module", "method"}:
        return f"a {name}"
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name} object"
