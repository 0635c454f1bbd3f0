"""Exporters and subscribers that settings switch on, and backends that are closed with the host."""

from __future__ import annotations

import gc
import logging

import pytest

import agentperf
from agentperf import Host, events, hookimpl
from agentperf.abc import Exporter, Subscriber
from agentperf.config import Settings, load
from agentperf.errors import ConfigurationError, PluginError
from agentperf.policies.cached.memory.backend import MemoryBackend
from tests.unit._plugins.test_registry import offering


class Seen(Exporter):
    """Remembers what it exported, and that it was closed."""

    def __init__(self):
        self.events = []
        self.closed = False

    def export(self, batch):
        """Remember."""
        self.events += [noted.event.operation for noted in batch]

    def close(self):
        """Remember that too."""
        self.closed = True


class Plugin:
    """Offers what the tests look at."""

    def __init__(self):
        self.exporters = []
        self.told = []
        self.backends = []

    @hookimpl
    def agentperf_exporters(self):
        """Offer one that works and one that doesn't."""

        def make():
            self.exporters.append(Seen())
            return self.exporters[-1]

        return {"seen": make, "broken": lambda: 1 / 0}

    @hookimpl
    def agentperf_subscribers(self):
        """Offer one that hears of the ends of calls."""
        return {
            "ends": lambda: Subscriber(
                lambda event: self.told.append(event.operation), (events.CallEnded,)
            )
        }

    @hookimpl
    def agentperf_cache_backends(self):
        """Offer one that knows whether it was closed."""

        class Closing(MemoryBackend):
            closed = 0

            def close(self):
                self.closed += 1

        def make(text):
            self.backends.append(Closing())
            return self.backends[-1]

        return {"closing": make}


@agentperf.timed("work")
def work():
    """Be an operation."""


@pytest.fixture
def plugin(install):
    """The plugin, installed."""
    made = Plugin()
    install(plugin=made)
    return made


def test_settings_start_them(plugin):
    """From the first call on; what is no longer named ends."""
    host = Host(settings=Settings(exporters=("seen",), subscribers=("ends",)))
    with agentperf.use(host):
        work()
        host.configure(exporters=[], subscribers=[])
        work()
    (exporter,) = plugin.exporters
    assert exporter.events == ["work"]
    assert exporter.closed
    assert plugin.told == ["work"]


def test_configuring_starts_and_keeps(plugin):
    """One that runs already goes on; the same name twice is once."""
    host = Host(settings=Settings())
    host.configure(exporters="seen, seen")
    host.configure(exporters=["seen"], subscribers=["ends"])
    with agentperf.use(host):
        work()
    host.configure(exporters=[])
    assert len(plugin.exporters) == 1
    assert plugin.exporters[0].events == ["work"]
    assert plugin.told == ["work"]


@pytest.mark.parametrize(
    ("names", "message"),
    [(["seen", "nobody"], "no plugin offers the exporter 'nobody'"), (["broken"], "ZeroDivision")],
)
def test_what_cannot_be_started(plugin, names, message, caplog):
    """The running program is told, and nothing changes; a file or variable only logs."""
    host = Host(settings=Settings())
    with pytest.raises(PluginError, match=message):
        host.configure(exporters=names, enabled=False)
    with pytest.raises(PluginError, match="no plugin offers the subscriber"):
        host.configure(exporters=["seen"], subscribers=["nobody"])
    with agentperf.use(host):
        work()
    assert host.settings == Settings()
    assert not any(exporter.events for exporter in plugin.exporters)
    with caplog.at_level(logging.WARNING, "agentperf"):
        other = Host(settings=Settings(exporters=tuple(names)))
    assert sum("plugin.not_started" in record.message for record in caplog.records) == 1
    other.configure(exporters=[])


def test_no_plugin_is_loaded_for_nothing(install):
    """A host whose settings name none asks for none."""
    (point,) = install(one=offering(x=object))
    host = Host(settings=Settings())
    host.configure(enabled=True)
    with agentperf.use(host):
        work()
    assert point.loaded == 0


def test_a_child_hears_of_its_own(plugin):
    """After a fork, subscribers and exporters go on there."""
    host = Host(settings=Settings(exporters=("seen",), subscribers=("ends",)))
    host.begin_anew()
    with agentperf.use(host):
        work()
    host.configure(exporters=[])
    assert plugin.told == ["work"]
    assert len(plugin.exporters) == 1


def test_backends_are_closed_with_the_host(plugin):
    """Who opened them closes them, once; a forked child leaves its parent's alone."""
    host = Host(settings=Settings())
    host.backend("closing:1")
    host.begin_anew()
    host.backend("closing:1")
    first, second = plugin.backends
    del host
    gc.collect()
    assert (first.closed, second.closed) == (0, 1)


@pytest.mark.parametrize("name", ["exporters", "subscribers"])
def test_where_the_names_come_from(tmp_path, name):
    """A file lists them, a variable has commas between them, and both say where they stand."""
    (tmp_path / "agentperf.toml").write_text(f'{name} = ["a", "b"]\n')
    settings = load({}, tmp_path)
    assert getattr(settings, name) == ("a", "b")
    assert settings.origin((name,)).endswith("agentperf.toml:1")
    variable = f"AGENTPERF_{name.upper()}"
    settings = load({variable: "c, d,", "AGENTPERF_DISABLED": "1"}, tmp_path)
    assert getattr(settings, name) == ("c", "d")
    assert settings.origin((name,)) == variable
    assert settings.origin(("enabled",)) == "AGENTPERF_DISABLED"


@pytest.mark.parametrize("value", [7, {"a": 1}, [7]])
def test_names_that_are_none(value):
    """The error shows how to write them."""
    with pytest.raises(ConfigurationError, match=r'exporters=\["example"\]'):
        Settings().changed(exporters=value)


def test_the_variables_of_plugins_are_known(tmp_path):
    """Settings don't take them for a slip of the pen."""
    variables = {"AGENTPERF_LOAD_PLUGINS": "a", "AGENTPERF_DISABLE_PLUGINS": "b"}
    assert load(variables, tmp_path) == Settings()
