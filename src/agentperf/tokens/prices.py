"""What models cost: a dated table, and prices of your own on top of it."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from pathlib import Path
from types import MappingProxyType
from typing import Any

from agentperf._base.offered import offered
from agentperf.errors import ConfigurationError
from agentperf.usage import Usage

_MILLION = 1_000_000
_REMEMBERED = 512
_EXAMPLE = '{"my-model": {"input": 0.5, "output": 1.5, "cached_input": 0.05}}'

# What may follow the name of a model without making it another one: a date, or "latest".
_RELEASE = re.compile(r"-\d{4}-\d\d-\d\d|[-@]\d{8}|-\d{4}|-latest")


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens.

    Attributes:
        input: Tokens of the prompt.
        output: Tokens of the answer, reasoning included.
        cached_input: Tokens of the prompt that the provider read from its cache; None: as `input`.
    """

    input: float
    output: float
    cached_input: float | None = None

    def cost(self, usage: object) -> float:
        """Return the cost of `usage`, ours or a client's, in US dollars."""
        used = Usage.of(usage)
        cached = min(used.cached_tokens, used.input_tokens)
        read = self.input if self.cached_input is None else self.cached_input
        fresh = used.input_tokens - cached
        return (fresh * self.input + cached * read + used.output_tokens * self.output) / _MILLION


@dataclass(frozen=True, slots=True)
class Price:
    """What a model costs.

    Attributes:
        model: The name in the table.
        rates: What is paid.
        above: Input tokens above which a whole request is paid at the `long` rates.
        long: Those rates; None when the length makes no difference.
        source: Where the price is from.
        checked: When it was last compared with the source; None when the table doesn't say.
    """

    model: str
    rates: Rates
    above: int | None = None
    long: Rates | None = None
    source: str = ""
    checked: date | None = None

    def cost(self, usage: object) -> float:
        """Return the cost, in US dollars, of a request that used so much."""
        used = Usage.of(usage)
        if self.long and self.above is not None and used.input_tokens > self.above:
            return self.long.cost(used)
        return self.rates.cost(used)


class Prices:
    """A table of prices; it never changes.

    Args:
        prices: Prices by the name of the model, in small letters.
    """

    def __init__(self, prices: Mapping[str, Price]) -> None:
        self._prices = MappingProxyType(dict(prices))
        self._asked: dict[str, Price | None] = {}

    @staticmethod
    @functools.cache
    def shipped() -> Prices:
        """Return the table that comes with this version of agentperf."""
        text = files("agentperf.tokens").joinpath("prices.toml").read_text(encoding="utf-8")
        return Prices({price.model: price for price in _shipped(text)})

    def updated(self, prices: str | Path | Mapping[str, Mapping[str, Any]]) -> Prices:
        """Return a table with some prices added or replaced.

        Args:
            prices: Prices per million tokens by model:
                `{"my-model": {"input": 0.5, "output": 1.5, "cached_input": 0.05}}`, or a TOML file
                with a table `[models."my-model"]` for each.

        Raises:
            ConfigurationError: The file can't be read, or a price is incomplete or no number.
        """
        source = "yours" if isinstance(prices, Mapping) else str(prices)
        table = prices if isinstance(prices, Mapping) else _read(Path(prices))
        added = {name.lower(): _price(name.lower(), table[name], source) for name in table}
        return Prices({**self._prices, **added})

    def price(self, model: str) -> Price | None:
        """Return the price of a model or of a dated release of it; None when it is not known.

        Raises:
            ConfigurationError: The model is no text.
        """
        if not isinstance(model, str):
            raise ConfigurationError(f'model={model!r}: the name of a model, model="gpt-4o"')
        try:
            return self._asked[model]
        except KeyError:
            name = model.strip().lower()
            found = self._named(name) or self._named(_without_provider(name))
            if len(self._asked) < _REMEMBERED:
                self._asked[model] = found
            return found

    def _named(self, name: str) -> Price | None:
        known = (
            price
            for known, price in self._prices.items()
            if name == known or (name.startswith(known) and _RELEASE.fullmatch(name, len(known)))
        )
        return max(known, key=lambda price: len(price.model), default=None)

    def cost(self, usage: object, model: str) -> float | None:
        """Return the cost, in US dollars, of one request; None when the price is not known.

        Raises:
            ConfigurationError: `usage` says nothing of tokens, or the model is no text.
        """
        used, price = Usage.of(usage), self.price(model)
        return None if price is None else price.cost(used)

    def __iter__(self) -> Iterator[Price]:
        return iter(self._prices.values())

    def __len__(self) -> int:
        return len(self._prices)


def price(model: str, *, wait: bool = True) -> Price | None:
    """Return what a model costs, by plugins and by the table of agentperf; None: not known.

    A dated release costs what the model does, unless the table has a price of its own for it. The
    names of other providers' offers (`"azure/gpt-4o"`) have no price: they set their own.

    Args:
        model: Its name.
        wait: False never waits for plugins to be loaded, which then happens in the background; for
            the path of a call.
    """
    return _table(wait=wait).price(model)


def cost(usage: object, model: str, *, wait: bool = True) -> float | None:
    """Return the cost, in US dollars, of a request by the same prices as `price`.

    Args:
        usage: What one request used: a `Usage`, a client's reply, or its usage. Some models cost
            more for long prompts, which only shows in the usage of a single request.
        model: The model that answered.
        wait: As for `price`.

    Returns:
        The cost; None when the model's price is not known.

    Example:
        cost(reply.usage, reply.model)

    Raises:
        ConfigurationError: `usage` says nothing of tokens, or the model is no text.
    """
    return _table(wait=wait).cost(usage, model)


def _table(*, wait: bool) -> Prices:
    source = offered()
    known: Prices | None = None if source is None else source.prices(wait=wait)
    return Prices.shipped() if known is None else known


def _without_provider(name: str) -> str:
    return name.removeprefix("openai/").removeprefix("anthropic/")


def _shipped(text: str) -> Iterator[Price]:
    import tomllib

    for source in tomllib.loads(text)["source"]:
        for model, values in source["models"].items():
            yield _price(model, values, source["url"], source["checked"])


def _read(path: Path) -> Mapping[str, Any]:
    import tomllib

    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"prices={str(path)!r} can't be read: {error}") from error
    models = table.get("models")
    if not isinstance(models, Mapping):
        raise ConfigurationError(
            f'prices={str(path)!r} has no models; write [models."my-model"] with input and output'
        )
    return models


def _price(model: str, values: object, source: str, checked: date | None = None) -> Price:
    if not isinstance(values, Mapping):
        raise ConfigurationError(f"prices[{model!r}]={values!r}: write {_EXAMPLE}")
    known = {"input", "output", "cached_input", "above"}
    known |= {f"long_{name}" for name in ("input", "output", "cached_input")}
    if unknown := set(values) - known:
        raise ConfigurationError(
            f"prices[{model!r}] has {', '.join(sorted(unknown))}; known: {', '.join(sorted(known))}"
        )
    if "above" not in values:
        return Price(model, _rates(model, values), source=source, checked=checked)
    above = values["above"]
    if not isinstance(above, int) or isinstance(above, bool):
        raise ConfigurationError(f"prices[{model!r}]['above']={above!r}: write a number of tokens")
    long = _rates(model, values, "long_")
    return Price(model, _rates(model, values), above, long, source, checked)


def _rates(model: str, values: Mapping[str, Any], prefix: str = "") -> Rates:
    given = {
        name: _dollars(model, f"{prefix}{name}", values.get(f"{prefix}{name}"))
        for name in ("input", "output", "cached_input")
        if name != "cached_input" or f"{prefix}{name}" in values
    }
    return Rates(**given)


def _dollars(model: str, name: str, value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    raise ConfigurationError(
        f"prices[{model!r}][{name!r}]={value!r}: US dollars per million tokens, as in {_EXAMPLE}"
    )
