"""Instruments `openai`: chat completions, responses, completions and embeddings."""

from __future__ import annotations

from types import ModuleType

from agentperf.abc import Instrumentor, Signals
from agentperf.instrumentation.patches import Patches


class OpenAIInstrumentor(Instrumentor):
    """Patches the one function that all requests go through, and the stream's reading.

    The classes are patched where they are defined, so that clients which exist already, copies by
    `with_options` and raw responses are all observed, and nothing is imported that the SDK itself
    would not have imported.
    """

    name = "openai"
    targets = ("openai._base_client", "openai._streaming")

    def __init__(self) -> None:
        self._patches = Patches()

    def install(self, module: ModuleType, signals: Signals) -> None:
        """Patch a module of `targets`."""
        # Only now: a program that never imports the SDK has no use for these.
        from agentperf.instrumentation.openai.choke import Choke
        from agentperf.instrumentation.openai.streams import watched_async, watched_sync

        if module.__name__ == "openai._base_client":
            choke = Choke(signals)
            self._patches.put(module.SyncAPIClient, "request", choke.sync)
            self._patches.put(module.AsyncAPIClient, "request", choke.asynchronous)
        else:
            self._patches.put(module.Stream, "__stream__", watched_sync)
            self._patches.put(module.AsyncStream, "__stream__", watched_async)

    def remove(self) -> None:
        """Take the patches off."""
        self._patches.remove()
