"""What puts measuring into other people's libraries, and takes it out again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True, slots=True)
class Signals:
    """Where spans and metrics are to go, besides agentperf's own figures.

    Attributes:
        tracer_provider: OpenTelemetry's; None for the global one, once an SDK has set it.
        meter_provider: The same for metrics.
        chunks: Whether the time of every chunk of a stream is a metric point of its own.
    """

    tracer_provider: Any = None
    meter_provider: Any = None
    chunks: bool = False


class Instrumentor(ABC):
    """Instruments one library, for the whole process.

    It says which modules it waits for and is handed each of them once that is loaded: at once where
    it is already, else right after the program's own import. It never imports them itself.

    A library that is instrumented must behave as before: same objects, errors and laziness. What
    `install` and `remove` raise is logged and swallowed; what the patches raise inside the
    program's calls is theirs to swallow.

    Attributes:
        name: What `agentperf.instrument(name)` calls it: the library's import name.
        targets: Full names of the modules that it waits for: those which define what is patched.
    """

    name: str
    targets: tuple[str, ...]

    @abstractmethod
    def install(self, module: ModuleType, signals: Signals) -> None:
        """Patch a module of `targets`; a second time does nothing."""

    @abstractmethod
    def remove(self) -> None:
        """Take all patches off; harmless where there are none. It may be installed again later."""
