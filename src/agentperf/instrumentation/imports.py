"""Says when the program has imported a module, without importing it.

wrapt offers the same; it loads asyncio and more than the rest of `instrument()` together.
"""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

Loaded = Callable[[ModuleType], None]


class _Finder:
    """Stands first among the finders and looks at the modules that are awaited, and only those."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._awaited: dict[str, Loaded] = {}

    def await_(self, name: str, loaded: Loaded) -> None:
        with self._lock:
            self._awaited[name] = loaded
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)

    def taken(self, name: str) -> Loaded | None:
        """Await a module no longer."""
        with self._lock:
            loaded = self._awaited.pop(name, None)
            if not self._awaited and self in sys.meta_path:
                sys.meta_path.remove(self)
            return loaded

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find a module by the other finders, and have its loader tell when it is loaded."""
        if name not in self._awaited:
            return None
        for finder in sys.meta_path.copy():
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None and hasattr(spec.loader, "exec_module"):
                    spec.loader = _Loader(spec, spec.loader)  # type: ignore[assignment]
                return spec
        return None


class _Loader:
    """Loads by another loader, which is the module's own again before its code runs."""

    def __init__(self, spec: ModuleSpec, loader: Any) -> None:
        self._spec = spec
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._spec.loader = self._loader
        if vars(module).get("__loader__") is self:
            module.__loader__ = self._loader
        self._loader.exec_module(module)
        if (loaded := _finder.taken(self._spec.name)) is not None:
            loaded(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


_finder = _Finder()


def when_imported(name: str, loaded: Loaded) -> None:
    """Call `loaded(module)` once a module is there: now, or right after the program's import of it.

    It is called inside that import and must not raise.
    """
    _finder.await_(name, loaded)
    if name in sys.modules and _finder.taken(name) is not None:
        # Another thread may be at it still: this waits for the end of that very import.
        loaded(importlib.import_module(name))
