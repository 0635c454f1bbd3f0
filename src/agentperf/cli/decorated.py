"""The decorated functions of a program, found by importing its modules and calling nothing."""

from __future__ import annotations

import functools
import sys
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

from agentperf._engine.pipeline import Pipeline, pipeline_of
from agentperf.errors import ConfigurationError


def find(modules: Sequence[str]) -> list[Pipeline]:
    """Import modules, from the current folder too, and list what is decorated in them.

    Whatever they import in turn is looked into as well. What is made inside of functions is not
    there yet, and can't be found.

    Raises:
        ConfigurationError: A module can't be imported.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    before = set(sys.modules)
    named = [_imported(name) for name in modules]
    brought = [sys.modules[name] for name in sys.modules.keys() - before]
    found = {
        pipeline.token: pipeline
        for module in (*named, *brought)
        for value in list(vars(module).values())
        for pipeline in _inside(value)
    }
    return list(found.values())


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except Exception as error:
        raise ConfigurationError(
            f"{name} can't be imported: {type(error).__name__}: {error}; name a module as in "
            "`python -m`, such as app.main"
        ) from error


def _inside(value: object) -> Iterator[Pipeline]:
    """Give the pipelines on a value, or on the methods of a class."""
    if isinstance(value, type):
        for member in list(vars(value).values()):
            if not isinstance(member, type):
                yield from _inside(member)
        return
    if isinstance(value, classmethod | staticmethod):
        value = value.__func__
    elif isinstance(value, functools.partialmethod):
        value = value.func
    elif isinstance(value, property):
        value = value.fget
    # No attribute of a stranger is asked for: it might be made by asking.
    ours = isinstance(value, FunctionType) or hasattr(type(value), "__agentperf__")
    if ours and (pipeline := pipeline_of(value)) is not None:
        yield pipeline
