"""Words that speak of trouble: what is read most closely in a log must not get lost."""

from __future__ import annotations

import re

_TROUBLE = re.compile(
    r"error|fail|except|fatal|critical|warn|denied|refused|timeout|timed out|traceback|panic|abort",
    re.IGNORECASE,
)


def tells_of_trouble(text: str) -> bool:
    """Tell whether a text speaks of errors, failures, warnings and the like."""
    return _TROUBLE.search(text) is not None
