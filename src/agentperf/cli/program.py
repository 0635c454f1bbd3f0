"""Runs a program as Python would, in this process."""

from __future__ import annotations

import builtins
import importlib.util
import os
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from agentperf.errors import ConfigurationError


class Ended(BaseException):
    """A program ended with an error; carries it past everything that would treat it as ours.

    Attributes:
        error: What the program raised, with the program's own traceback.
    """

    def __init__(self, error: BaseException) -> None:
        super().__init__(error)
        self.error = error

    def pass_on(self) -> None:
        """Raise the error for the interpreter, which shows the program's own traceback only.

        Raises:
            BaseException: What the program raised.
        """
        hook, traceback = sys.excepthook, self.error.__traceback__

        def show(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> Any:
            error.__traceback__ = traceback
            return hook(kind, error, traceback)

        sys.excepthook = show
        raise self.error


def check(target: str, *, module: bool) -> None:
    """See whether there is something to run.

    Raises:
        ConfigurationError: There is not.
    """
    if not module and not Path(target).exists():
        raise ConfigurationError(
            f"{target}: no such file; a program is needed, such as agentperf run app.py, "
            "or a module: agentperf run -m package.module"
        )


def run(target: str, arguments: Sequence[str], *, module: bool) -> None:
    """Run a file, a folder or archive with a `__main__.py`, or a module.

    The program finds what it would find with Python itself: its arguments, its folder first among
    the places to import from, its standard input, and `__main__`, which stays its own to the end of
    the process.

    Args:
        target: A path, or the dotted name of a module.
        arguments: The program's own.
        module: Whether `target` is a module.

    Raises:
        NothingToRun: There is no such module.
        Ended: The program raised something.
        SystemExit: The program asked to end.
    """
    sys.argv = [target, *arguments]
    try:
        main, code = _of_module(target) if module else _of_path(target)
        sys.modules["__main__"] = main
        exec(code, main.__dict__)  # noqa: S102 - it is what was asked for
    except (SystemExit, NothingToRun):
        raise
    except BaseException as error:  # noqa: BLE001 - the interpreter shows it, as it always does
        raise Ended(error.with_traceback(_of_the_program(error.__traceback__))) from None


def _of_path(path: str) -> tuple[ModuleType, CodeType]:
    if Path(path).is_dir() or zipfile.is_zipfile(path):
        _first_place(os.path.abspath(path))  # noqa: PTH100
        return _of_spec("__main__")
    file = os.path.abspath(path)  # noqa: PTH100 - as written, links included
    _first_place(os.path.dirname(os.path.realpath(path)))  # noqa: PTH120
    main = _main_module(file)
    main.__dict__["__spec__"] = None
    return main, compile(Path(file).read_bytes(), file, "exec", dont_inherit=True)


def _of_module(name: str) -> tuple[ModuleType, CodeType]:
    _first_place(str(Path.cwd()))
    main, code = _of_spec(name)
    sys.argv[0] = str(main.__file__)
    return main, code


def _of_spec(name: str) -> tuple[ModuleType, CodeType]:
    """Find a module, or the `__main__` of a package."""
    # The command's own __main__ must not be taken for the program's.
    ours = sys.modules.pop("__main__", None) if name == "__main__" else None
    try:
        spec = importlib.util.find_spec(name)
    except ModuleNotFoundError as error:
        if error.name is None or not name.startswith(error.name):
            raise
        spec = None  # a package around it is not there
    finally:
        if ours is not None:
            sys.modules["__main__"] = ours
    if spec is not None and spec.submodule_search_locations is not None:
        return _of_spec(f"{name}.__main__")
    get_code = getattr(spec and spec.loader, "get_code", None)
    code: CodeType | None = get_code(name) if get_code else None
    if spec is None or code is None:
        raise NothingToRun(f"{name}: there is no such module to run")
    main = _main_module(str(spec.origin))
    main.__dict__.update(__spec__=spec, __package__=spec.parent, __loader__=spec.loader)
    return main, code


class NothingToRun(ConfigurationError):
    """What was to be run is not there."""


def _main_module(file: str) -> ModuleType:
    main = ModuleType("__main__")
    main.__dict__.update(__file__=file, __builtins__=builtins)
    return main


def _first_place(folder: str) -> None:
    """Put a folder where that of the command stands: first among the places to import from."""
    if not sys.flags.safe_path:
        sys.path[0] = folder


def _of_the_program(traceback: TracebackType | None) -> TracebackType | None:
    """Leave out the frames before the program's first."""
    ours = __file__, importlib.util.__file__, "<frozen importlib.util>"
    while traceback is not None and traceback.tb_frame.f_code.co_filename in ours:
        traceback = traceback.tb_next
    return traceback
