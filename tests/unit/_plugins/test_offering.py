"""Tokenizers, prices and instrumentors of plugins, where agentperf counts and measures."""

from __future__ import annotations

import logging
import threading

import pytest

import agentperf
from agentperf import Usage, count_tokens, hookimpl, tokens
from agentperf.abc import Instrumentor, Tokenizer
from agentperf.abc.kinds import Kind
from agentperf.testing import fresh_host
from tests.unit._plugins.test_registry import offering


class Words(Tokenizer):
    """Counts words."""

    name = "words"
    exact = True

    def count(self, text):
        """Count."""
        return len(text.split())


class Rough(Words):
    """Is not sure."""

    name = "rough"
    exact = False


class Broken(Words):
    """Fails on some texts."""

    name = "broken"

    def count(self, text):
        """Fail on long texts."""
        return super().count(text) if len(text) < 10 else 1 / 0


def counted(text, model, **options):
    """Count on a fresh host."""
    with fresh_host():
        return count_tokens(text, model=model, **options)


def test_the_name_and_the_longest_pattern_win(install):
    """An exact name before patterns, a longer pattern before a shorter; others count as ever."""
    offers = {"my/*": Rough, "my/large*": Words, "my/large-2": Broken}
    install(one=offering(**offers))
    assert counted("a b c", "my/small").source == "rough"
    assert counted("a b c", "my/small").error is None
    assert counted("a b c", "MY/Large-1").source == "words"
    assert counted("a b c", "MY/Large-1").exact
    assert counted("a b c", "my/large-2").source == "broken"
    assert "words" not in counted("a b c", "gpt-4o").source


def test_messages_and_limits(install):
    """Whatever can be counted is counted with it, and limits are kept by it."""
    install(one=offering(mine=Words))
    messages = [{"role": "user", "content": "one two three"}]
    assert "words" in counted(messages, "mine").source
    with fresh_host():
        assert count_tokens({"model": "mine", "messages": messages}).source.startswith("words")
        assert not tokens.exceeds("one two " * 20_000, 40_000, model="mine")
        assert tokens.exceeds("one two " * 20_000, 39_999, model="mine")


@pytest.mark.parametrize("make", [Broken, lambda: 1 / 0, object])
def test_one_that_fails_is_told_once(install, caplog, make):
    """The count is what it would be without the plugin."""
    install(one=offering(**{"gpt-4o": make}))
    text = "a text of more than ten letters"
    with fresh_host(), caplog.at_level(logging.WARNING, "agentperf"):
        counts = [count_tokens(f"{text} {n}", model="gpt-4o") for n in range(3)]
    install()
    assert counts == [counted(f"{text} {n}", "gpt-4o") for n in range(3)]
    assert sum("tokens.plugin_failed" in record.message for record in caplog.records) == 1


@pytest.mark.parametrize("count", [-1, 1.5, True, None])
def test_counts_that_are_none(install, count):
    """What is no number of tokens is not taken for one."""
    odd = type("Odd", (Words,), {"count": lambda self, text: count})
    install(one=offering(mine=odd))
    assert counted("a b c", "mine").source != "words"


def test_a_call_never_waits(install):
    """Until plugins and tokenizer are loaded, in the background, there is an estimate."""
    go = threading.Event()

    def slow():
        go.wait(20)
        return Words()

    install(one=offering(mine=slow))
    with fresh_host() as host:
        assert count_tokens("a b c", model="mine", wait=False).source != "words"
        host.plugins.load()
        assert count_tokens("a b c", model="mine", wait=False).source != "words"
        go.set()
        assert count_tokens("a b c", model="mine").source == "words"
        assert count_tokens("a b c", model="mine", wait=False).source == "words"
        assert count_tokens("a " * 70_000, model="mine", wait=False).source != "words"


def test_two_for_one_model(install, caplog):
    """Neither counts: nobody knows which is meant; that is told."""
    install(one=offering(mine=Words), two=offering(mine=Rough))
    assert counted("a b c", "mine").source not in ("words", "rough")
    assert any("offer the same tokenizer" in str(record.exc_info) for record in caplog.records)


def test_a_plugin_that_comes_later(install):
    """What is registered counts from then on."""
    with fresh_host() as host:
        assert count_tokens("a b c", model="mine").source != "words"
        host.plugins.register(offering(mine=Words), name="late")
        assert count_tokens("a b c", model="mine").source == "words"


class Prices:
    """Offers prices."""

    @hookimpl
    def agentperf_prices(self):
        """Give rows."""
        return {
            "My-Model": {"input": 1.0, "output": 2.0},
            "gpt-4o": {"input": 100.0, "output": 200.0},
        }


def test_prices_are_laid_over(install, caplog):
    """They go over the table of agentperf; a plugin with a malformed one is told and left out."""
    million = Usage(1_000_000, 1_000_000)
    with fresh_host():
        shipped = tokens.cost(million, "gpt-4o")
        assert tokens.cost(million, "my-model") is None
    install(one=Prices(), two=offering(Kind.PRICES, odd={"input": "free"}))
    with fresh_host():
        assert tokens.cost(million, "my-model") == 3.0
        assert tokens.cost(million, "gpt-4o") == 300.0
        assert tokens.price("my-model").model == "my-model"
        assert tokens.price("odd") is None
        assert tokens.price("gpt-4o-mini") is not None
    assert any("plugin.failed" in record.message for record in caplog.records)
    install()
    with fresh_host():
        assert tokens.cost(million, "gpt-4o") == shipped


def test_prices_never_hold_a_call_up(install):
    """Until the plugins are loaded, the table of agentperf counts."""
    go = threading.Event()

    class Slow(Prices):
        @hookimpl
        def agentperf_prices(self):
            go.wait(20)
            return super().agentperf_prices()

    install(one=Slow())
    with fresh_host():
        assert tokens.price("my-model", wait=False) is None
        assert tokens.price("gpt-4o", wait=False).rates.input < 100
        go.set()
        assert tokens.price("my-model").rates.input == 1.0
        assert tokens.price("my-model", wait=False).rates.input == 1.0


def test_instrumentors(install, caplog):
    """Those that plugins bring are known; one that can't be made is told."""
    from agentperf.instrumentation.registry import Registry, _of_plugins

    class Mine(Instrumentor):
        name = "mine"
        targets = ("mine",)

        def install(self, module, signals):
            """Do nothing."""

        def remove(self):
            """Do nothing."""

    class Plugin:
        @hookimpl
        def agentperf_instrumentors(self):
            return {"mine": Mine, "broken": lambda: 1 / 0}

    install(one=Plugin())
    with fresh_host():
        assert set(Registry(_of_plugins).known()) == {"mine"}
    assert any("plugin.not_started" in record.message for record in caplog.records)
    assert agentperf.hookimpl is hookimpl
