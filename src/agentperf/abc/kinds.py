"""The kinds of things that plugins offer."""

from __future__ import annotations

from enum import Enum

PROJECT = "agentperf"
"""The entry-point group of plugins, and what their hooks are marked with."""


class Kind(Enum):
    """What can be offered; the value is the name of the hook."""

    CACHE_BACKENDS = "agentperf_cache_backends"
    STORES = "agentperf_stores"
    TOKENIZERS = "agentperf_tokenizers"
    EXPORTERS = "agentperf_exporters"
    INSTRUMENTORS = "agentperf_instrumentors"
    COMPRESSORS = "agentperf_compressors"
    EMBEDDERS = "agentperf_embedders"
    PRICES = "agentperf_prices"
    SUBSCRIBERS = "agentperf_subscribers"
    CLASSIFIERS = "agentperf_classifiers"

    @property
    def plural(self) -> str:
        """What to call several of them: `cache backends`."""
        return self.name.lower().replace("_", " ")

    @property
    def singular(self) -> str:
        """What to call one of them: `cache backend`."""
        return self.plural.removesuffix("s")
