"""How configuration says what is wrong with it, and where."""

from __future__ import annotations

import re
from collections.abc import Iterable

from agentperf.errors import ConfigurationError

Path = tuple[str, ...]
"""The keys that lead to a value, such as `("policies", "app.search", "retry", "attempts")`."""

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: Path) -> str:
    """Write a path as TOML does: `policies."app.search".retry.attempts`."""
    return ".".join(key if _BARE.fullmatch(key) else f'"{key}"' for key in path)


def complaint(where: str, path: Path, text: str) -> ConfigurationError:
    """Make the error for the value at `path`."""
    return ConfigurationError(f"{where}: {dotted(path)}{text}")


def suggestion(name: str, known: Iterable[str], *, likeness: float = 0.6) -> str:
    """Say what may have been meant instead of an unknown name."""
    import difflib  # only when something is wrong

    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=likeness)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
