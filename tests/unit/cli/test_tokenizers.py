"""`agentperf tokenizers` lists and fetches vocabularies."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from agentperf.cli.tokenizers import tokenizers
from agentperf.errors import AgentPerfError, ConfigurationError
from agentperf.tokens import fetching, vocabularies
from agentperf.tokens.vocabularies import Found


def run(*arguments: str):
    """Run the command."""
    return CliRunner().invoke(tokenizers, arguments)


def test_listing(monkeypatch):
    """Each vocabulary is listed with its file; for what is missing, it says how to get it."""
    monkeypatch.setattr(
        vocabularies,
        "find",
        lambda known: Found("fetched", Path("x"), b"") if known.name == "o200k_base" else None,
    )
    ran = run("list")
    assert ran.exit_code == 0
    assert "o200k_base    x (fetched)" in ran.output
    assert "cl100k_base   not at hand" in ran.output
    assert "agentperf tokenizers fetch" in ran.output


def test_nothing_is_missing(monkeypatch):
    """When all are there, nothing is advised."""
    monkeypatch.setattr(vocabularies, "find", lambda known: Found("fetched", Path("x"), b""))
    assert "Get" not in run("list").output


@pytest.mark.parametrize(
    ("names", "fetched"),
    [((), ["o200k_base", "cl100k_base"]), (("cl100k_base",), ["cl100k_base"])],
)
def test_fetching(monkeypatch, names, fetched):
    """Those that are named are fetched, or all of them, and their files are shown."""
    asked = []

    def fetch(name, *, timeout):
        asked.append((name, timeout))
        return Path(f"{name}.tiktoken")

    monkeypatch.setattr(fetching, "fetch", fetch)
    ran = run("fetch", *names, "--timeout", "5")
    assert ran.exit_code == 0
    assert asked == [(name, 5.0) for name in fetched]
    assert all(f"{name}.tiktoken" in ran.output for name in fetched)


def test_failing(monkeypatch):
    """A failed download is told of, the others are still fetched, and the exit code is 1."""

    def fetch(name, *, timeout):
        if name == "o200k_base":
            raise AgentPerfError("the network is down")
        return Path("there")

    monkeypatch.setattr(fetching, "fetch", fetch)
    ran = run("fetch")
    assert ran.exit_code == 1
    assert "Error: the network is down" in ran.output
    assert "there" in ran.output


def test_unknown_names():
    """A name that isn't known is a wrong call of the command."""
    assert isinstance(run("fetch", "p50k_base").exception, ConfigurationError)
