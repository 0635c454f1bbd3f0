"""Contracts: what agentperf asks of the parts that can be exchanged."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentperf.abc.backends import AnyBackend as AnyBackend
    from agentperf.abc.backends import AsyncCacheBackend as AsyncCacheBackend
    from agentperf.abc.backends import Backends as Backends
    from agentperf.abc.backends import CacheBackend as CacheBackend
    from agentperf.abc.backends import Lasting as Lasting
    from agentperf.abc.exporters import Exporter as Exporter
    from agentperf.abc.exporters import Noted as Noted
    from agentperf.abc.extensions import Compressor as Compressor
    from agentperf.abc.extensions import Embedder as Embedder
    from agentperf.abc.extensions import PriceRow as PriceRow
    from agentperf.abc.extensions import Subscriber as Subscriber
    from agentperf.abc.instrumentors import Instrumentor as Instrumentor
    from agentperf.abc.instrumentors import Signals as Signals
    from agentperf.abc.stores import AnyStore as AnyStore
    from agentperf.abc.stores import AsyncStore as AsyncStore
    from agentperf.abc.stores import Decision as Decision
    from agentperf.abc.stores import Record as Record
    from agentperf.abc.stores import Store as Store
    from agentperf.abc.stores import Stores as Stores
    from agentperf.abc.telemetry import Recorder as Recorder
    from agentperf.abc.telemetry import Tap as Tap
    from agentperf.abc.tokenizers import Tokenizer as Tokenizer
    from agentperf.abc.waiting import Parker as Parker
    from agentperf.abc.waiting import Waiting as Waiting
    from agentperf.abc.watching import Watchable as Watchable
    from agentperf.abc.watching import Watcher as Watcher

_BY_MODULE = {
    "backends": "AnyBackend AsyncCacheBackend Backends CacheBackend Lasting",
    "exporters": "Exporter Noted",
    "extensions": "Compressor Embedder PriceRow Subscriber",
    "instrumentors": "Instrumentor Signals",
    "stores": "AnyStore AsyncStore Decision Record Store Stores",
    "telemetry": "Recorder Tap",
    "tokenizers": "Tokenizer",
    "waiting": "Parker Waiting",
    "watching": "Watchable Watcher",
}
_EXPORTS = {name: f"{__name__}.{m}" for m, names in _BY_MODULE.items() for name in names.split()}

# One table serves everything: a second list of the names could differ from it.
__all__ = [*_EXPORTS]  # noqa: PLE0604  # pyright: ignore[reportUnsupportedDunderAll]


if not TYPE_CHECKING:  # to a checker any name would seem to be there

    def __getattr__(name: str) -> Any:
        """Import a contract when it is first used: a program needs few of them."""
        if (module := _EXPORTS.get(name)) is None:
            raise AttributeError(f"module 'agentperf.abc' has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(module), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
