"""What can be instrumented, and what is."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Collection, Iterable
from types import ModuleType
from typing import Any

from agentperf._base.log import fault
from agentperf._base.offered import offered
from agentperf.abc import Instrumentor, Signals
from agentperf.errors import ConfigurationError
from agentperf.instrumentation.imports import when_imported

Source = Callable[[], Iterable[Instrumentor]]

_SAME = {"httpx2": "httpx"}
"""Other names of an instrumentor: httpx2 is httpx under another roof."""


def _built_in() -> Iterable[Instrumentor]:
    from agentperf.instrumentation.http import HttpInstrumentor
    from agentperf.instrumentation.openai import OpenAIInstrumentor

    return OpenAIInstrumentor(), HttpInstrumentor()


class Registry:
    """The instrumentors of a process, and which of them are on.

    Patches reach the whole process, so there is one of these and no host has its own.
    """

    def __init__(self, *sources: Source) -> None:
        self._sources = list(sources)
        self._known: dict[str, Instrumentor] = {}
        self._on: dict[str, Signals] = {}
        self._lock = threading.Lock()

    def extend(self, source: Source) -> None:
        """Add a source of instrumentors; it is asked when names are next looked up."""
        with self._lock:
            self._sources.append(source)

    def known(self, wanted: Collection[str] = ()) -> dict[str, Instrumentor]:
        """Return the instrumentors by their names; the first of a name stays.

        Where `wanted` are known no further source is asked: plugins take a while to look up.
        """
        with self._lock:
            while self._sources and not (wanted and self._known.keys() >= set(wanted)):
                for instrumentor in self._sources.pop(0)():
                    self._known.setdefault(instrumentor.name, instrumentor)
            return dict(self._known)

    def turn_on(self, names: tuple[str, ...], signals: Signals) -> None:
        """Instrument by name; everything where none is given."""
        for instrumentor in self._chosen("instrument", names):
            before = self._on.get(instrumentor.name)
            if before is not None and signals not in (before, Signals()):
                self._off(instrumentor)
            self._on.setdefault(instrumentor.name, signals)
            for target in instrumentor.targets:
                when_imported(target, functools.partial(self._loaded, target))

    def turn_off(self, names: tuple[str, ...]) -> None:
        """Take instruments off by name; all of them where none is given."""
        for instrumentor in self._chosen("uninstrument", names):
            self._off(instrumentor)

    def _off(self, instrumentor: Instrumentor) -> None:
        if self._on.pop(instrumentor.name, None) is not None:
            try:
                instrumentor.remove()
            except Exception as error:  # noqa: BLE001 - an instrumentor's own fault
                fault("instrumentor.failed", error, instrumentor=instrumentor.name)

    def _chosen(self, asker: str, names: tuple[str, ...]) -> list[Instrumentor]:
        for name in names:
            if not isinstance(name, str):
                raise ConfigurationError(_unknown(asker, name, sorted({*self.known(), *_SAME})))
        wanted = dict.fromkeys(_SAME.get(name, name) for name in names)
        known = self.known(wanted)
        for name in names:
            if _SAME.get(name, name) not in known:
                raise ConfigurationError(_unknown(asker, name, sorted({*known, *_SAME})))
        return [known[name] for name in wanted or known]

    def _loaded(self, target: str, module: ModuleType) -> None:
        """Install what waits for a module; never raises, since it runs inside the import."""
        for name, signals in self._on.copy().items():
            instrumentor = self._known[name]
            if target in instrumentor.targets:
                try:
                    instrumentor.install(module, signals)
                except Exception as error:  # noqa: BLE001 - the program's import must not fail
                    fault("instrumentor.failed", error, instrumentor=name, target=target)


def _unknown(asker: str, name: object, known: list[str]) -> str:
    import difflib  # only when something is wrong

    listed = ", ".join(repr(one) for one in known)
    if not isinstance(name, str):
        return f'{asker}({name!r}): names are needed, such as {asker}("openai"); there are {listed}'
    close = difflib.get_close_matches(name, known, n=1)
    hint = f'did you mean {asker}("{close[0]}")? ' if close else ""
    return f"{asker}({name!r}): nothing of that name can be instrumented; {hint}there are {listed}"


def _of_plugins() -> Iterable[Instrumentor]:
    source = offered()
    return () if source is None else source.instrumentors()


_registry = Registry(_built_in, _of_plugins)


def extend(source: Source) -> None:
    """Let `instrument` know further instrumentors, such as those of plugins.

    Args:
        source: Called when names are next looked up; gives the instrumentors. A name that is taken
            already stays with whom it belongs to.
    """
    _registry.extend(source)


def instrument(
    *names: str, tracer_provider: Any = None, meter_provider: Any = None, chunks: bool = False
) -> None:
    """Measure the calls of other libraries, in the whole process.

    A library may be imported before or after; one that the program never imports costs nothing.
    Its objects, errors and results stay what they are. What is instrumented already stays so,
    unless it is given other providers.

    Figures go to the host that is current at each call: see `agentperf.stats()`. Spans and metrics
    go through OpenTelemetry's API once an SDK is set up, or to the providers given here.

    Args:
        *names: `"openai"`, `"httpx"` (which covers httpx2 too), or what a plugin brings; everything
            known where none is given.
        tracer_provider: Where spans go instead of OpenTelemetry's global provider.
        meter_provider: Where metrics go instead of the global one.
        chunks: Make a metric point for every chunk of a stream. Costs several times as much as all
            the rest.

    Example:
        agentperf.instrument("openai", "httpx")

    Raises:
        ConfigurationError: A name is not known; nothing is instrumented then.
    """
    if not isinstance(chunks, bool):
        raise ConfigurationError(f"chunks={chunks!r}: True or False, as in chunks=True")
    _registry.turn_on(names, Signals(tracer_provider, meter_provider, chunks))


def uninstrument(*names: str) -> None:
    """Undo `instrument`; harmless where nothing is instrumented.

    Calls and streams that are under way are counted to their end.

    Args:
        *names: What to take off; everything where none is given.

    Example:
        agentperf.uninstrument("httpx")

    Raises:
        ConfigurationError: A name is not known; nothing is taken off then.
    """
    _registry.turn_off(names)
