"""What plugins offer to the floors below: tokenizers, prices, instrumentors."""

from __future__ import annotations

from fnmatch import fnmatchcase

from agentperf._base.log import fault
from agentperf._plugins.listing import Offer
from agentperf._plugins.registry import Plugins, made
from agentperf.abc.instrumentors import Instrumentor
from agentperf.abc.kinds import Kind
from agentperf.errors import ConfigurationError, PluginError
from agentperf.tokens import Prices

_REMEMBERED = 512


class Offered:
    """Answers which tokenizer and which prices there are, as fast as the path of a call needs.

    Args:
        plugins: Who offers them.
    """

    def __init__(self, plugins: Plugins) -> None:
        self._plugins = plugins
        self._tokenizers: dict[str, Offer | None] = {}
        self._seen = 0
        self._prices: Prices | None = None

    def tokenizer(self, model: str, *, wait: bool) -> Offer | None:
        """Return the tokenizer for a model: the one of its name, or of the longest that fits.

        Args:
            model: The model's name.
            wait: Whether to load the plugins now; else a thread does, and until then it is None.
        """
        if not self._is_ready(wait=wait):
            return None
        try:
            return self._tokenizers[model]
        except KeyError:
            if len(self._tokenizers) >= _REMEMBERED:
                self._tokenizers.clear()
            found = self._tokenizers[model] = self._matching(model.strip().lower())
            return found

    def _matching(self, model: str) -> Offer | None:
        names = self._plugins.names(Kind.TOKENIZERS)
        fitting = [name for name in names if name == model or fnmatchcase(model, name)]
        if not fitting:
            return None
        try:
            return self._plugins.find(
                Kind.TOKENIZERS, max(fitting, key=lambda name: (name == model, len(name)))
            )
        except PluginError as error:
            fault("tokens.plugin_clash", error, model=model)
            return None

    def instrumentors(self) -> list[Instrumentor]:
        """Return the instrumentors that plugins bring; one that can't be made is logged."""
        found: list[Instrumentor] = []
        for offer in self._plugins.offers(Kind.INSTRUMENTORS):
            try:
                found.append(made(offer, Instrumentor))
            except ConfigurationError as error:
                fault("plugin.not_started", error, what="instrumentor", wanted=offer.name)
        return found

    def prices(self, *, wait: bool) -> Prices | None:
        """Return the table with the prices that plugins offer laid over; None before it is known.

        Args:
            wait: As for `tokenizer`.
        """
        if not self._is_ready(wait=wait):
            return None
        if self._prices is None:
            self._prices = self._laid_over()
        return self._prices

    def _laid_over(self) -> Prices:
        offered = {offer.name: offer.value for offer in self._plugins.offers(Kind.PRICES)}
        return Prices.shipped().updated(offered)

    def _is_ready(self, *, wait: bool) -> bool:
        if wait:
            self._plugins.load()
        elif not self._plugins.ready():
            return False
        if self._seen != self._plugins.changes:
            self._seen = self._plugins.changes
            self._tokenizers = {}
            self._prices = None
        return True
