"""`agentperf plugins` lists what there is, and what is wrong."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from agentperf.cli.main import commands
from agentperf.errors import ConfigurationError
from tests.unit._plugins.conftest import install as install  # noqa: PLC0414 - a fixture
from tests.unit._plugins.test_registry import offering


def run(*arguments):
    """Run the command."""
    return CliRunner().invoke(commands, ["plugins", *arguments])


def test_the_list(install, monkeypatch):
    """Each plugin with its state, where it is from, and what it offers."""
    install(one=offering(words=object, letters=object), two=offering(x=object))
    monkeypatch.setenv("AGENTPERF_DISABLE_PLUGINS", "two")
    result = run()
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "agentperf  loaded  agentperf-sdk (agentperf)",
        "  cache backends: memory, sqlite",
        "  stores: sqlite",
        "one  loaded  dist-one 1.0 (one_module)",
        "  tokenizers: words, letters",
        "two  disabled  dist-two 1.0 (two_module)",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_what_is_wrong(install, as_json):
    """A failure and a clash are shown, and the exit code is 1."""
    install(one=offering(x=object), two=offering(x=object), bad=ImportError("no redis"))
    result = run(*(["--json"] if as_json else []))
    assert result.exit_code == 1
    if not as_json:
        assert "Error: plugin 'bad' (dist-bad 1.0): ImportError: no redis" in result.output
        assert "offer the same tokenizer 'x'" in result.output
        return
    shown = json.loads(result.stdout)
    assert shown["plugins"][1] == {
        "name": "bad",
        "distribution": "dist-bad 1.0",
        "module": "bad_module",
        "state": "failed",
        "reason": "ImportError: no redis",
        "offers": {},
    }
    assert shown["plugins"][2]["offers"] == {"tokenizers": ["x"]}
    assert len(shown["problems"]) == 2


def test_a_misspelt_variable(install, monkeypatch):
    """It is refused, as a program refuses it: it would let in what was to be kept out."""
    install(one=offering(x=object))
    monkeypatch.setenv("AGENTPERF_LOAD_PLUGIN", "one")
    with pytest.raises(ConfigurationError, match="did you mean 'AGENTPERF_LOAD_PLUGINS'"):
        CliRunner().invoke(commands, ["plugins"], catch_exceptions=False)


def test_a_name_that_nobody_goes_by(install, monkeypatch):
    """It is a problem."""
    install(one=offering(x=object))
    monkeypatch.setenv("AGENTPERF_LOAD_PLUGINS", "oen")
    result = run()
    assert result.exit_code == 1
    assert "no plugin of the name 'oen' is installed; did you mean 'one'?" in result.output
