"""Turning instruments on and off: names, order of imports, twice, and other people's patches."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
from types import ModuleType

import openai
import pytest
from openai import _base_client, _streaming

import agentperf
from agentperf.abc import Instrumentor, Signals
from agentperf.errors import ConfigurationError
from agentperf.instrumentation.opentelemetry import AgentperfInstrumentor
from agentperf.instrumentation.registry import Registry
from tests.unit.instrumentation.wire import ASK, CHUNKS, COMPLETION, OPERATION, Body, Wire

SYNC = _base_client.SyncAPIClient


@pytest.fixture(autouse=True)
def _off():
    """Whatever a test does, nothing is on afterwards, and everything is as it was."""
    before = SYNC.__dict__["request"], _streaming.Stream.__dict__["__stream__"]
    yield
    agentperf.uninstrument()
    assert (SYNC.__dict__["request"], _streaming.Stream.__dict__["__stream__"]) == before


def calls_one(host):
    """Make a call and tell how many were counted by it."""
    before = host.operation_stats(OPERATION).calls
    Wire("httpx", COMPLETION).clients().sync.chat.completions.create(**ASK)
    return host.operation_stats(OPERATION).calls - before


@pytest.mark.parametrize("act", [agentperf.instrument, agentperf.uninstrument])
def test_an_unknown_name(act):
    """It is refused with what is known and what was probably meant, and nothing changes."""
    with pytest.raises(ConfigurationError) as caught:
        act("httpx", "openia")
    assert "did you mean" in str(caught.value)
    assert f'{act.__name__}("openai")' in str(caught.value)
    assert "'httpx', 'httpx2', 'openai'" in str(caught.value)


@pytest.mark.parametrize("wrong", [openai, None, 3])
def test_no_name_at_all(wrong):
    """A module is not its name."""
    with pytest.raises(ConfigurationError, match=r'instrument\("openai"\)'):
        agentperf.instrument(wrong)


def test_a_wrong_option():
    """Options are checked."""
    with pytest.raises(ConfigurationError, match="chunks=True"):
        agentperf.instrument("openai", chunks="yes")


def test_twice_is_once(host):
    """A second time changes nothing, and one removal undoes both."""
    agentperf.instrument("openai")
    once = SYNC.request
    agentperf.instrument("openai")
    agentperf.instrument()
    assert SYNC.request is once
    assert calls_one(host) == 1
    agentperf.uninstrument("openai")
    agentperf.uninstrument("openai")
    assert calls_one(host) == 0


def test_off_and_on_again(host):
    """What was taken off can be put on again."""
    for _ in range(3):
        agentperf.instrument("openai")
        assert calls_one(host) == 1
        agentperf.uninstrument()
        assert calls_one(host) == 0


def test_taking_off_what_was_never_on():
    """That is harmless."""
    agentperf.uninstrument()
    agentperf.uninstrument("openai", "httpx2")


def test_clients_that_exist_already(host):
    """A client, and raw methods it has kept, are observed from then on and no longer after."""
    client = Wire("httpx", COMPLETION).clients().sync
    raw = client.chat.completions.with_raw_response
    agentperf.instrument("openai")
    raw.create(**ASK)
    assert host.operation_stats(OPERATION).calls == 1
    agentperf.uninstrument()
    raw.create(**ASK)
    assert host.operation_stats(OPERATION).calls == 1


def test_somebody_elses_patch_stays(host):
    """Who patched after us keeps their patch; ours steps aside, and comes back in its place."""
    agentperf.instrument("openai")
    ours = SYNC.request
    seen = []

    @functools.wraps(ours)
    def theirs(*args, **kwargs):
        seen.append(1)
        return ours(*args, **kwargs)

    SYNC.request = theirs
    agentperf.uninstrument("openai")
    assert SYNC.request is theirs
    assert calls_one(host) == 0
    agentperf.instrument("openai")
    assert calls_one(host) == 1
    assert SYNC.request is theirs
    SYNC.request = ours
    assert len(seen) == 2


def test_other_providers_take_the_place_of_the_first(telemetry, host):
    """Given again with other providers, these hold from then on."""
    agentperf.instrument("openai")
    calls_one(host)
    agentperf.instrument("openai", tracer_provider=telemetry.tracer_provider)
    assert calls_one(host) == 1
    assert len(telemetry.spans()) == 1
    agentperf.instrument("openai")
    calls_one(host)
    assert len(telemetry.spans()) == 2


def run(code):
    """Run code in a fresh Python; what it asserts must hold."""
    head = "import sys, warnings; warnings.simplefilter('error')\n"
    ran = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stderr


CALL = """
from tests.unit.instrumentation.wire import *
Wire("httpx", COMPLETION).clients().sync.chat.completions.create(**ASK)
assert agentperf.stats()[OPERATION].calls == 1
assert list(agentperf.stats()) == [OPERATION]
"""


def test_before_the_import():
    """Nothing is imported for its sake, and what the program imports later is instrumented."""
    run(
        """
        import agentperf
        finders = list(sys.meta_path)
        agentperf.instrument("openai", "httpx")
        heavy = {"openai", "httpx", "httpx2", "opentelemetry", "wrapt", "asyncio", "pydantic"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        import openai._base_client, httpx, httpx2
        for module in (openai._base_client, httpx._client, httpx2._transports.default):
            assert module.__loader__ is module.__spec__.loader
            assert type(module.__loader__).__name__ == "SourceFileLoader"
        assert sys.meta_path == finders
        """
        + textwrap.indent(CALL, " " * 8)
    )


def test_after_the_import():
    """What is loaded already is instrumented at once, and nothing more is loaded."""
    run(
        """
        import openai
        import agentperf
        before = {name for name in sys.modules if name.startswith(("openai", "httpx"))}
        agentperf.instrument("openai", "httpx")
        assert {name for name in sys.modules if name.startswith(("openai", "httpx"))} == before
        """
        + textwrap.indent(CALL, " " * 8)
    )


def test_taken_off_before_the_import():
    """What was taken off again is left alone when it comes."""
    run(
        """
        import agentperf
        agentperf.instrument()
        agentperf.uninstrument()
        import openai._base_client
        assert not hasattr(openai._base_client.SyncAPIClient.request, "__agentperf_patch__")
        """
    )


def test_auto():
    """`import agentperf.auto` is all it takes."""
    run("import agentperf.auto, agentperf, openai" + CALL)


def test_auto_never_raises():
    """A fault of ours is logged once, and the program starts."""
    said = run(
        """
        import logging; logging.basicConfig()
        from agentperf.instrumentation import registry
        registry._registry.known = lambda: 1 / 0
        import agentperf.auto
        """
    )
    assert said.count("auto.failed") == 1


def test_httpx_by_another_name():
    """`alias_httpx` makes two names one library, which is instrumented once."""
    run(
        """
        import httpx2, agentperf
        httpx2.alias_httpx()
        agentperf.instrument()
        import httpx
        assert httpx is httpx2
        wire = httpx.MockTransport(lambda request: httpx.Response(200))
        httpx.Client(transport=wire).get("https://x.example.com")
        assert agentperf.stats()["GET x.example.com"].calls == 1
        agentperf.uninstrument("httpx2")
        httpx.Client(transport=wire).get("https://x.example.com")
        assert agentperf.stats()["GET x.example.com"].calls == 1
        """
    )


def test_a_failing_import_stays_the_programs():
    """A module that can't be imported raises what it always did."""
    run(
        """
        from agentperf.instrumentation.imports import when_imported
        seen = []
        when_imported("json.nowhere", seen.append)
        when_imported("this", seen.append)
        try:
            import json.nowhere
        except ModuleNotFoundError:
            pass
        else:
            raise AssertionError
        import this
        assert [module.__name__ for module in seen] == ["this"]
        """
    )


def test_as_an_instrumentor_of_opentelemetry(telemetry, host):
    """It is found by its entry point, and takes what `opentelemetry-instrument` hands over."""
    from importlib.metadata import entry_points

    (point,) = entry_points(group="opentelemetry_instrumentor", name="agentperf")
    assert point.load() is AgentperfInstrumentor
    AgentperfInstrumentor().instrument(
        skip_dep_check=True, tracer_provider=telemetry.tracer_provider
    )
    assert calls_one(host) == 1
    AgentperfInstrumentor().uninstrument()
    assert calls_one(host) == 0
    assert len(telemetry.spans()) >= 1


def test_that_instrumentor_never_raises(monkeypatch):
    """An error of it would end everybody's instrumentation."""
    import agentperf.instrumentation.opentelemetry as module

    monkeypatch.setattr(module, "instrument", lambda **_: 1 / 0)
    monkeypatch.setattr(module, "uninstrument", lambda: 1 / 0)
    AgentperfInstrumentor().instrument()
    AgentperfInstrumentor().uninstrument()


class Own(Instrumentor):
    """An instrumentor as a plugin may have it."""

    name = "own"
    targets = ("own_library",)

    def __init__(self):
        self.seen = []

    def install(self, module, signals):
        """Note what comes."""
        self.seen.append((module, signals))

    def remove(self):
        """Note that it ends."""
        self.seen.append("removed")


def test_further_instrumentors(monkeypatch):
    """A source is asked when names are looked up; a name that is taken stays with its owner."""
    own, late = Own(), Own()
    registry = Registry(lambda: [own])
    registry.extend(lambda: [late])
    monkeypatch.setitem(sys.modules, "own_library", module := ModuleType("own_library"))
    module.__spec__ = None
    signals = Signals(tracer_provider="t")
    registry.turn_on(("own",), signals)
    registry.turn_off(())
    assert own.seen == [(module, signals), "removed"]
    assert late.seen == []


def test_a_broken_instrumentor_is_logged(monkeypatch, caplog):
    """What a plugin's instrumentor raises neither reaches the program nor its import."""

    class Broken(Own):
        def install(self, module, signals):
            raise RuntimeError

        def remove(self):
            raise RuntimeError

    registry = Registry(lambda: [Broken()])
    monkeypatch.setitem(sys.modules, "own_library", ModuleType("own_library"))
    registry.turn_on((), Signals())
    registry.turn_off(())
    assert len([r for r in caplog.records if "instrumentor.failed" in r.getMessage()]) == 2


def test_streams_after_removal(host):
    """A stream begun without us is the SDK's alone."""
    agentperf.instrument("openai")
    agentperf.uninstrument()
    stream = Wire("httpx", Body(CHUNKS)).clients().sync.chat.completions.create(**ASK, stream=True)
    assert type(stream._iterator).__name__ == "generator"
    assert len(list(stream)) == 4
    assert host.stats() == {}


def test_plugins_are_looked_up_only_for_names_that_are_not_built_in():
    """Who names what agentperf brings waits for no plugin; another name, or none, asks them."""
    asked = []

    class Own(Instrumentor):
        """Waits for nothing."""

        targets = ()

        def __init__(self, name):
            self.name = name

        def install(self, module, signals):
            """Do nothing."""

        def remove(self):
            """Do nothing."""

    def plugins():
        asked.append("plugins")
        return [Own("theirs")]

    registry = Registry(lambda: [Own("ours")], plugins)
    registry.turn_on(("ours",), Signals())
    assert asked == []
    registry.turn_on(("theirs",), Signals())
    registry.turn_on((), Signals())
    assert asked == ["plugins"]
