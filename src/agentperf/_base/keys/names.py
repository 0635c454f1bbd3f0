"""Names that mean the same thing in every process."""

from __future__ import annotations

import os
import sys

_MAIN = frozenset({"__main__", "__mp_main__"})


def qualified_name(obj: object) -> str:
    """Give the `module.qualname` of a function or class, or of the class of anything else.

    `__main__` counts as the name under which other processes import the same file: the stem of
    a script's file name, or the dotted name given to `python -m`.
    """
    named = obj if isinstance(getattr(obj, "__qualname__", None), str) else type(obj)
    return f"{module_name(named)}.{named.__qualname__}"  # type: ignore[attr-defined]


def module_name(obj: object) -> str:
    """Give the module of a function or class, with `__main__` told as in `qualified_name`."""
    module = _module_of(obj)
    return _main_name() if module in _MAIN else module


def lasting_name(obj: object) -> str | None:
    """Give `module:qualname` if that name leads back to this very object, else None.

    It does for what a module defines; it doesn't for lambdas and for what a function defines.
    """
    qualname = getattr(obj, "__qualname__", None)
    if not isinstance(qualname, str):
        return None
    found: object = sys.modules.get(_module_of(obj))
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return f"{module_name(obj)}:{qualname}" if found is obj else None


def _module_of(obj: object) -> str:
    # Built-in methods such as `str.upper` know only their class.
    module = getattr(obj, "__module__", None)
    module = module or getattr(getattr(obj, "__objclass__", None), "__module__", None)
    return module if isinstance(module, str) else "builtins"


def _main_name() -> str:
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None and spec.name not in _MAIN:
        return str(spec.name)
    file: str | None = getattr(main, "__file__", None)
    if not file:
        return "__main__"
    # Importing pathlib would cost a script more than all the rest of naming its functions.
    return os.path.splitext(os.path.basename(file))[0]  # noqa: PTH119, PTH122
