"""Prices are dated, and unknown where they are not known."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import pytest

from agentperf.errors import ConfigurationError
from agentperf.tokens import Prices, Rates, cost, price
from agentperf.usage import Usage

MILLION = 1_000_000


def test_every_price_says_where_it_is_from():
    """The table that is shipped has a source and a date for every price, and plausible rates."""
    table = list(Prices.shipped())
    assert len(table) == len(Prices.shipped()) > 30
    for one in table:
        assert one.source.startswith("https://")
        assert isinstance(one.checked, dt.date)
        assert one.rates.output == 0 or one.rates.output > one.rates.input > 0
        assert one.rates.cached_input is None or one.rates.cached_input < one.rates.input
        assert one.long is None or one.long.input > one.rates.input


def test_the_cost_of_a_request():
    """Fresh input, cached input and output are each paid at their rate."""
    usage = Usage(input_tokens=3 * MILLION, cached_tokens=MILLION, output_tokens=MILLION)
    assert cost(usage, "gpt-4o") == pytest.approx(2 * 2.50 + 1.25 + 10.00)
    assert cost(Usage(), "gpt-4o") == 0


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-4o", "gpt-4o"),
        ("GPT-4o ", "gpt-4o"),
        ("gpt-4o-2024-08-06", "gpt-4o"),
        ("gpt-4o-2024-05-13", "gpt-4o-2024-05-13"),
        ("openai/gpt-4o-mini", "gpt-4o-mini"),
        ("gpt-4-0613", "gpt-4"),
        ("gpt-3.5-turbo-1106", "gpt-3.5-turbo-1106"),
        ("claude-3-5-haiku-latest", "claude-3-5-haiku"),
        ("claude-opus-4-20250514", "claude-opus-4"),
        ("claude-opus-4-1@20250805", "claude-opus-4-1"),
        ("claude-sonnet-5-5", "claude-sonnet-5-5"),
    ],
)
def test_releases_cost_what_the_model_costs(model, name):
    """A dated release has the model's price, unless it has one of its own."""
    found = price(model)
    assert found is not None
    assert found.model == name


@pytest.mark.parametrize(
    "model",
    [
        "",
        "gpt-4o-audio-preview",
        "gpt-5-chat-latest",
        "gpt-4-32k",
        "azure/gpt-4o",
        "my-model",
        "gpt",
    ],
)
def test_unknown_models_have_unknown_costs(model):
    """A name that only looks like another has no price and no cost, rather than a wrong one."""
    assert price(model) is None
    assert cost(Usage(1, 1), model) is None


def test_the_usage_of_a_client_has_a_cost():
    """No conversion is needed between a reply and its price."""
    usage = SimpleNamespace(prompt_tokens=MILLION, completion_tokens=0)
    reply = SimpleNamespace(model="gpt-4o-2024-08-06", usage=usage)
    known = price("gpt-4o")
    assert known is not None
    assert cost(usage, reply.model) == cost(reply, reply.model) == known.rates.input
    assert known.cost(usage) == known.rates.cost(usage) == known.rates.input


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((500, "gpt-4o"), "nothing of tokens"),
        (("gpt-4o", Usage(1)), "nothing of tokens"),
        ((Usage(1), Usage(1)), 'model="gpt-4o"'),
    ],
)
def test_what_has_no_cost(arguments, says):
    """Swapped arguments, and what is no usage, are told of."""
    with pytest.raises(ConfigurationError, match=says):
        cost(*arguments)


def test_long_prompts_cost_more():
    """Above its limit the whole request is paid at the long rates, exactly at it none of it."""
    table = Prices({}).updated(
        {"m": {"input": 1, "output": 2, "above": 1000, "long_input": 10, "long_output": 20}}
    )
    assert table.cost(Usage(1000, 1000), "m") == pytest.approx(0.003)
    assert table.cost(Usage(1001, 1000), "m") == pytest.approx(0.03001)


def test_cached_tokens_cost_as_much_where_nothing_is_known():
    """Without a rate for cached input it is paid as input; never more is cached than was read."""
    assert Rates(1, 2).cost(Usage(MILLION, 0, MILLION)) == 1
    assert Rates(1, 2, 0.5).cost(Usage(MILLION, 0, 2 * MILLION)) == 0.5


def test_own_prices():
    """Prices of one's own add to the table and replace in it; the shipped one stays as it was."""
    mine = Prices.shipped().updated(
        {"My-Model": {"input": 1, "output": 2}, "gpt-4o": {"input": 0, "output": 0}}
    )
    assert mine.cost(Usage(MILLION, MILLION), "my-model") == 3
    assert mine.cost(Usage(MILLION, MILLION), "gpt-4o") == 0
    assert mine.price("my-model").source == "yours"
    assert cost(Usage(MILLION, 0), "gpt-4o") == 2.5


def test_own_prices_in_a_file(tmp_path):
    """A file holds a table for each model, and is named as the source."""
    file = tmp_path / "prices.toml"
    file.write_text('[models."my-model"]\ninput = 1.5\noutput = 2\ncached_input = 0.5\n')
    found = Prices.shipped().updated(file).price("my-model")
    assert (found.rates, found.source) == (Rates(1.5, 2.0, 0.5), str(file))
    assert Prices({}).updated(str(file)).price("gpt-4o") is None


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"input": 1}, r"\['output'\]=None"),
        ({"input": "1", "output": 2}, "'1'"),
        ({"input": -1, "output": 2}, "-1"),
        ({"input": float("nan"), "output": 2}, "nan"),
        ({"input": True, "output": 2}, "True"),
        ({"input": 1, "output": 2, "cached": 1}, "cached; known: above, cached_input"),
        ({"input": 1, "output": 2, "above": "a lot"}, "a lot"),
        ({"input": 1, "output": 2, "above": 10}, "long_input"),
        (1.5, "1.5"),
    ],
)
def test_bad_prices(values, says):
    """A price that is incomplete or no number is an error that names the model."""
    with pytest.raises(ConfigurationError, match=says) as caught:
        Prices({}).updated({"m": values})
    assert "'m'" in str(caught.value)


@pytest.mark.parametrize("text", ["[models", "x = 1", None])
def test_bad_files(tmp_path, text):
    """A file that is missing, broken or without models is an error that names it."""
    file = tmp_path / "prices.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConfigurationError, match=r"prices\.toml"):
        Prices.shipped().updated(file)
