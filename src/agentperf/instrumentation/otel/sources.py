"""Finds OpenTelemetry: providers that were given, or the global ones once an SDK has set them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from agentperf.instrumentation.faults import swallowed
from agentperf.instrumentation.otel.names import SCOPE

T = TypeVar("T")


class Source(Generic[T]):
    """Something made of a provider, as soon as there is one.

    While there is none, asking costs a look into a table. A program that has no SDK never loads the
    API for us.

    Args:
        module: The API's module with the global provider.
        getter: The function there that returns it.
        given: A provider to use instead.
        make: Makes the thing.
    """

    def __init__(self, module: str, getter: str, given: Any, make: Callable[[Any], T]) -> None:
        self._module = module
        self._getter = getter
        self._given = given
        self._make = make
        self._made: T | None = None
        self._broken = False

    def get(self) -> T | None:
        """Return the thing; None while there is no SDK, and for good where its provider fails."""
        if self._made is None and not self._broken:
            try:
                provider = self._given if self._given is not None else self._global()
                self._made = None if provider is None else self._make(provider)
            except Exception as error:  # noqa: BLE001 - a broken provider costs its signal only
                self._broken = True
                swallowed(self._module, error)
        return self._made

    def _global(self) -> Any:
        api = sys.modules.get(self._module)
        get = getattr(api, self._getter, None)
        provider = get() if get is not None else None
        # The API's own stand-ins, for as long as nobody has set up an SDK.
        is_stand_in = type(provider).__module__.startswith(f"{self._module}.")
        is_stand_in = is_stand_in or type(provider).__module__ == self._module
        return None if is_stand_in else provider


def tracers(given: Any) -> Source[Any]:
    """Return the source of our tracer."""
    return Source(
        "opentelemetry.trace",
        "get_tracer_provider",
        given,
        lambda provider: provider.get_tracer(SCOPE, _version()),
    )


def meters(given: Any, make: Callable[[Any], T]) -> Source[T]:
    """Return the source of instruments, which `make(meter)` makes."""
    return Source(
        "opentelemetry.metrics",
        "get_meter_provider",
        given,
        lambda provider: make(provider.get_meter(SCOPE, _version())),
    )


def _version() -> str | None:
    """Return agentperf's version; None where it is imported without having been installed."""
    from importlib.metadata import PackageNotFoundError, version

    from agentperf.errors import DISTRIBUTION

    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return None
