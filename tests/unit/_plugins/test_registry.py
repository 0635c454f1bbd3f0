"""Finding plugins, loading each by itself, and refusing what can't be meant."""

from __future__ import annotations

import logging
import threading
from types import ModuleType

import pytest

from agentperf import Host, hookimpl
from agentperf._plugins import Plugins
from agentperf.abc.kinds import Kind
from agentperf.errors import ConfigurationError, PluginError


def offering(hook=Kind.TOKENIZERS, **offers):
    """Make a plugin with one hook."""

    def implementation(self):
        return offers

    implementation.__name__ = hook.value
    return type("Plugin", (), {hook.value: hookimpl(implementation)})()


def states(plugins):
    """Return the state of every plugin but our own."""
    return {p.origin.plugin: p.state for p in plugins.listed() if p.origin.plugin != "agentperf"}


def test_nothing_is_loaded_before_it_is_asked_for(install):
    """Making a host, and its plugins, imports no plugin; the first question does, once."""
    (point,) = install(one=offering(x=object))
    plugins = Host().plugins
    assert point.loaded == 0
    assert plugins.names(Kind.TOKENIZERS) == ["x"]
    assert plugins.find(Kind.TOKENIZERS, "x").origin.distribution == "dist-one 1.0"
    assert point.loaded == 1


def test_modules_objects_and_classes(install):
    """What an entry point names may be a module, an object, or a class to make one of."""
    module = ModuleType("module")

    @hookimpl
    def agentperf_tokenizers():
        return {"a": object}

    module.agentperf_tokenizers = agentperf_tokenizers
    install(module=module, thing=offering(b=object), kind=type(offering(c=object)))
    assert Plugins().names(Kind.TOKENIZERS) == ["a", "b", "c"]


def test_one_that_fails_leaves_the_rest(install, caplog):
    """It is named with the reason, in the log and in the list; the others are loaded."""
    install(
        bad=ImportError("no module named 'redis'"),
        exits=SystemExit(3),
        good=offering(x=object),
    )
    plugins = Plugins()
    with caplog.at_level(logging.WARNING, "agentperf"):
        assert states(plugins) == {"bad": "failed", "exits": "failed", "good": "loaded"}
    assert plugins.names(Kind.TOKENIZERS) == ["x"]
    first, second = plugins.problems()
    assert first == "plugin 'bad' (dist-bad 1.0): ImportError: no module named 'redis'"
    assert "SystemExit: 3" in second
    assert sum("plugin.failed" in record.message for record in caplog.records) == 2


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, {"one": "loaded", "two": "loaded"}),
        ({"AGENTPERF_LOAD_PLUGINS": "one"}, {"one": "loaded", "two": "disabled"}),
        ({"AGENTPERF_LOAD_PLUGINS": " Dist_Two "}, {"one": "disabled", "two": "loaded"}),
        ({"AGENTPERF_LOAD_PLUGINS": "one,two"}, {"one": "loaded", "two": "loaded"}),
        ({"AGENTPERF_DISABLE_PLUGINS": "two"}, {"one": "loaded", "two": "disabled"}),
        ({"AGENTPERF_DISABLE_PLUGINS": "dist.one"}, {"one": "disabled", "two": "loaded"}),
        ({"AGENTPERF_DISABLE_PLUGINS": "*"}, {"one": "disabled", "two": "disabled"}),
        (
            {"AGENTPERF_LOAD_PLUGINS": "one,two", "AGENTPERF_DISABLE_PLUGINS": "one"},
            {"one": "disabled", "two": "loaded"},
        ),
        (
            {"AGENTPERF_LOAD_PLUGINS": "", "AGENTPERF_DISABLE_PLUGINS": " , "},
            {"one": "loaded", "two": "loaded"},
        ),
    ],
)
def test_who_is_let_in(install, variables, wanted):
    """A plugin goes by its own name or its distribution's; who isn't let in isn't imported."""
    points = install(one=offering(x=object), two=offering(y=object))
    assert states(Plugins(variables)) == wanted
    assert [point.loaded for point in points] == [
        int(wanted[point.name] == "loaded") for point in points
    ]


def test_two_that_offer_one_name(install, caplog):
    """Whoever asks is told both; what only one offers is there."""
    install(one=offering(x=object, y=object), two=offering(x=object))
    plugins = Plugins()
    with pytest.raises(PluginError) as caught:
        plugins.find(Kind.TOKENIZERS, "x")
    text = str(caught.value)
    assert "'one' (dist-one 1.0)" in text
    assert "'two' (dist-two 1.0)" in text
    assert "AGENTPERF_DISABLE_PLUGINS=two" in text
    assert plugins.problems() == [text]
    assert plugins.find(Kind.TOKENIZERS, "y").origin.plugin == "one"
    assert [offer.name for offer in plugins.offers(Kind.TOKENIZERS)] == ["y"]


def test_one_name_for_two_kinds_is_no_clash(install):
    """A tokenizer and an exporter may have the same name."""
    install(one=offering(x=object), two=offering(Kind.EXPORTERS, x=object))
    assert Plugins().problems() == []


def test_a_name_that_nobody_offers(install):
    """The error says what there is, and why a plugin that may be meant is not there."""
    install(
        one=offering(words=object),
        two=ImportError("broken"),
        three=offering(x=object),
        four=ImportError("missing"),
    )
    plugins = Plugins({"AGENTPERF_DISABLE_PLUGINS": "three"})

    def told(name, kind=Kind.TOKENIZERS):
        with pytest.raises(PluginError) as caught:
            plugins.find(kind, name)
        return str(caught.value)

    lists = "`agentperf plugins` lists what is installed."
    others = "that might offer it did not load: `agentperf plugins` says which."
    nobody = "no plugin offers the tokenizer"
    assert told("wrods") == f"{nobody} 'wrods'; did you mean 'words'? {lists}"
    assert told("zzz") == f"{nobody} 'zzz'; there are: words. 3 plugins {others}"
    assert told("two") == (
        f"{nobody} 'two'; there are: words. The plugin 'two' (dist-two 1.0) failed to load: "
        f"ImportError: broken. 2 plugins {others}"
    )
    assert "The plugin 'three' (dist-three 1.0) is disabled by the environment." in told("three")
    assert told("x", Kind.EMBEDDERS).startswith(
        "no plugin offers the embedder 'x', nor any other. 3 "
    )


def test_the_only_one_that_is_missing(install):
    """It is named with the reason, whatever was asked for."""
    install(two=ImportError("broken"))
    with pytest.raises(PluginError, match=r"'two' .* failed to load: ImportError: broken\. `agent"):
        Plugins().find(Kind.TOKENIZERS, "zzz")


@pytest.mark.parametrize(
    ("variable", "text", "problem"),
    [
        ("AGENTPERF_LOAD_PLUGINS", "trail", "'trail' is installed; did you mean 'trial'?"),
        ("AGENTPERF_DISABLE_PLUGINS", "trial, Dist_Trail", "'dist-trail' is installed; did you"),
        ("AGENTPERF_LOAD_PLUGINS", "*", "'*' is installed"),
    ],
)
def test_names_that_nobody_goes_by(install, caplog, variable, text, problem):
    """A slip of the pen in the environment is told; it lets in what was to be kept out."""
    install(trial=offering(x=object))
    plugins = Plugins({variable: text})
    with caplog.at_level(logging.WARNING, "agentperf"):
        (found,) = plugins.problems()
    assert found.startswith(f"{variable}: no plugin of the name {problem}")
    assert any("plugins.not_installed" in record.message for record in caplog.records)


def test_names_that_are_right_are_no_problem(install):
    """Of plugins and distributions, and the star."""
    install(trial=offering(x=object))
    for text in ("trial", "dist.trial", "*", ""):
        assert Plugins({"AGENTPERF_DISABLE_PLUGINS": text}).problems() == []


def versioned(version, *, hook="agentperf_tokenizers"):
    """Make a plugin that says what it was written for."""

    def implementation(self):
        return {"x": object}

    hooks = {hook: hookimpl(implementation), "AGENTPERF_HOOKSPECS": version}
    return type("Plugin", (), hooks)()


@pytest.mark.parametrize(
    ("plugin", "reason"),
    [
        (versioned("2.0"), "written for the hooks in version 2.0.*upgrade agentperf-sdk"),
        (versioned("0.9"), "written for the hooks in version 0.9.*upgrade the plugin"),
        (versioned("two"), 'write a version such as "1.0"'),
        (versioned("1.0", hook="agentperf_tokenizer"), "did you mean agentperf_tokenizers"),
        (ModuleType("empty"), "it has no hooks.*hookimpl"),
        (offering(**{"": object}), "a name is needed"),
        (offering(x=7), "give what makes one"),
        (offering(Kind.PRICES, x=7), r"agentperf_prices\(\): prices\['x'\]=7: write"),
        (offering(Kind.PRICES, x={"inputt": 3}), r"prices\['x'\] has inputt; known: .*input"),
        (offering(Kind.PRICES, x={"input": 3}), r"\['output'\]=None: US dollars"),
        (offering(Kind.CACHE_BACKENDS, **{"a:b": object}), "colon"),
    ],
)
def test_what_is_refused(install, plugin, reason):
    """A plugin that can't be meant is refused as a whole, by name and with the reason."""
    install(odd=plugin, good=offering(y=object))
    plugins = Plugins()
    assert states(plugins) == {"good": "loaded", "odd": "failed"}
    assert plugins.names(Kind.TOKENIZERS) == ["y"]
    with pytest.raises(PluginError, match=f"(?s)'own': .*{reason}"):
        Plugins().register(plugin, name="own")


@pytest.mark.parametrize("hook", ["agentperf_tokenizers", "agentperf_of_tomorrow"])
def test_a_newer_minor_is_welcome(install, hook):
    """What it knows beyond this version is left aside."""
    install(newer=versioned("1.9", hook=hook))
    plugins = Plugins()
    assert plugins.problems() == []
    assert plugins.names(Kind.TOKENIZERS) == (["x"] if hook == "agentperf_tokenizers" else [])


def test_a_hook_that_takes_arguments(install):
    """A hook of another form is refused in one line, and its name is free again."""

    class Odd:
        @hookimpl
        def agentperf_tokenizers(self, model):
            return {}

    install(odd=Odd())
    (problem,) = Plugins().problems()
    assert problem == (
        "plugin 'odd' (dist-odd 1.0): agentperf_tokenizers() takes the parameter 'model': hooks "
        "take none, and what a factory needs it gets when it is called"
    )
    plugins = Plugins({"AGENTPERF_DISABLE_PLUGINS": "*"})
    with pytest.raises(PluginError, match="takes the parameter"):
        plugins.register(Odd(), name="mine")
    plugins.register(offering(x=object), name="mine")


def test_a_hook_that_gives_no_mapping(install):
    """What a hook gives is looked at."""

    class Odd:
        @hookimpl
        def agentperf_tokenizers(self):
            return ["x"]

    install(odd=Odd())
    assert 'return {"name": factory}' in Plugins().problems()[0]


def test_a_hook_that_raises(install):
    """It is the plugin's failure, and nobody else's."""

    class Odd:
        @hookimpl
        def agentperf_tokenizers(self):
            raise RuntimeError("later")

    install(odd=Odd(), good=offering(x=object))
    plugins = Plugins()
    assert states(plugins) == {"good": "loaded", "odd": "failed"}
    assert "RuntimeError: later" in plugins.problems()[0]


def test_registering_in_the_program(install):
    """A plugin that isn't installed is taken, once, and stays with its host."""
    host = Host()
    host.plugins.register(offering(x=object), name="mine")
    assert host.plugins.find(Kind.TOKENIZERS, "x").origin.plugin == "mine"
    with pytest.raises(PluginError, match="another plugin has that name"):
        host.plugins.register(offering(z=object), name="mine")
    with pytest.raises(PluginError, match="offer the same tokenizer 'x'"):
        host.plugins.register(offering(x=object), name="other")
    assert host.plugins.names(Kind.TOKENIZERS) == ["x"]
    assert Host().plugins.names(Kind.TOKENIZERS) == []


def test_it_stays_registered_in_a_child(install):
    """A forked child loads anew, and keeps what the program registered."""
    host = Host()
    host.plugins.register(offering(x=object), name="mine")
    host.begin_anew()
    assert host.plugins.names(Kind.TOKENIZERS) == ["x"]


def test_a_plugin_that_asks_while_it_is_loaded(install):
    """Asking for something in an import doesn't wait for itself."""
    plugins = Plugins()
    seen = []

    class Curious:
        @hookimpl
        def agentperf_tokenizers(self):
            seen.append(plugins.names(Kind.TOKENIZERS))
            return {"b": object}

    install(a=offering(a=object), curious=Curious())
    assert plugins.names(Kind.TOKENIZERS) == ["a", "b"]
    assert seen == [["a"]]


def test_loading_in_the_background(install):
    """Who can't wait begins it, in one thread, and finds it done later."""
    go = threading.Event()

    class Slow:
        @hookimpl
        def agentperf_tokenizers(self):
            go.wait(20)
            return {"a": object}

    install(slow=Slow())
    plugins = Plugins()
    assert not plugins.ready()
    assert not plugins.ready()
    (thread,) = [t for t in threading.enumerate() if t.name == "agentperf-plugins"]
    go.set()
    thread.join(20)
    assert plugins.ready()


def test_a_factory_that_fails(install):
    """The error names the plugin, its distribution, what it offers, and the reason."""

    def broken(text):
        raise OSError("no route")

    install(one=offering(Kind.CACHE_BACKENDS, far=broken, odd=lambda text: object()))
    host = Host()
    with pytest.raises(PluginError, match=r"'far'.*'one' \(dist-one 1.0\).*OSError: no route"):
        host.backend("far:1")
    with pytest.raises(PluginError, match=r"made object: a CacheBackend or .* is needed"):
        host.backend("odd")
    assert issubclass(PluginError, ConfigurationError)
