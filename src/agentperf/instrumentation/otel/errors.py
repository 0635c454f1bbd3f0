"""What `error.type` says of an error: few values, and nothing that was in a message."""

from __future__ import annotations

import re

_CODE = re.compile(r"[a-z][a-z0-9_.]{0,63}")
_MOST = 64
_codes: set[str] = set()


def error_type(error: BaseException | None) -> str:
    """Return the code that the other side gave an error, else the error's full name."""
    code = getattr(error, "code", None)
    if isinstance(code, str) and _CODE.fullmatch(code) and _is_kept(code):
        return code
    if error is None:
        return "_OTHER"
    kind = type(error)
    return (
        kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}"
    )


def _is_kept(code: str) -> bool:
    """Codes come from a server, which may invent as many as it likes."""
    if code not in _codes and len(_codes) < _MOST:
        _codes.add(code)
    return code in _codes
