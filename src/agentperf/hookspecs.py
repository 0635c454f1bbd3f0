"""What a plugin can offer: one hook for each kind, implemented with `agentperf.hookimpl`.

Each hook returns what the plugin offers, by name. Two plugins that offer one name clash: neither
is taken, and whoever asks for the name is told both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pluggy

from agentperf.abc.backends import BackendFactory
from agentperf.abc.exporters import Exporter
from agentperf.abc.extensions import (
    Classifier,
    Compressor,
    Embedder,
    PriceRow,
    Subscriber,
)
from agentperf.abc.instrumentors import Instrumentor
from agentperf.abc.kinds import PROJECT
from agentperf.abc.stores import StoreFactory
from agentperf.abc.tokenizers import TokenizerFactory

F = TypeVar("F", bound=Callable[..., Any])

VERSION = (1, 1)
"""Major and minor: a new hook makes a new minor, a hook that changes or goes a new major."""

WRITTEN_FOR = "AGENTPERF_HOOKSPECS"
"""The attribute in which a plugin may say which version it was written for, such as `"1.0"`."""

hookspec = pluggy.HookspecMarker(PROJECT)
_mark = pluggy.HookimplMarker(PROJECT)


def hookimpl(function: F) -> F:
    """Mark a function or method of a plugin as the implementation of the hook whose name it bears.

    Example:
        @agentperf.hookimpl
        def agentperf_tokenizers():
            return {"my-model": MyTokenizer}
    """
    return _mark(function)


@hookspec
def agentperf_cache_backends() -> Mapping[str, BackendFactory]:  # type: ignore[empty-body]
    """Offer cache backends, by the word that begins `cached(backend="word:...")`."""


@hookspec
def agentperf_stores() -> Mapping[str, StoreFactory]:  # type: ignore[empty-body]
    """Offer stores for limiters and breakers, by the word that begins `store="word:..."`."""


@hookspec
def agentperf_tokenizers() -> Mapping[str, TokenizerFactory]:  # type: ignore[empty-body]
    """Offer tokenizers, by the names of models; `*` in a name stands for anything."""


@hookspec
def agentperf_exporters() -> Mapping[str, Callable[[], Exporter]]:  # type: ignore[empty-body]
    """Offer exporters, by the name that the setting `exporters` uses."""


@hookspec
def agentperf_instrumentors() -> Mapping[str, Callable[[], Instrumentor]]:  # type: ignore[empty-body]
    """Offer instrumentors, by the names that `agentperf.instrument` takes."""


@hookspec
def agentperf_compressors() -> Mapping[str, Callable[[], Compressor]]:  # type: ignore[empty-body]
    """Offer compressors of texts."""


@hookspec
def agentperf_embedders() -> Mapping[str, Callable[[], Embedder]]:  # type: ignore[empty-body]
    """Offer embedders of texts."""


@hookspec
def agentperf_prices() -> Mapping[str, PriceRow]:  # type: ignore[empty-body]
    """Offer prices, by the names of models; they go over those that agentperf brings."""


@hookspec
def agentperf_subscribers() -> Mapping[str, Callable[[], Subscriber]]:  # type: ignore[empty-body]
    """Offer subscribers to events, by the name that the setting `subscribers` uses."""


@hookspec
def agentperf_classifiers() -> Mapping[str, Callable[[], Classifier]]:  # type: ignore[empty-body]
    """Offer classifiers of errors, by the name that the setting `classifiers` uses.

    Since version 1.1.
    """
