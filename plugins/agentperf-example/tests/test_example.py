"""The template keeps the contracts, and agentperf finds and uses what it offers."""

from __future__ import annotations

import json
import time

import pytest
from agentperf_example.backend import ExampleBackend
from agentperf_example.exporter import LinesExporter
from agentperf_example.tokenizer import WordTokenizer

import agentperf
from agentperf.testing import fresh_host
from agentperf.testing.conformance import (
    BackendConformance,
    ExporterConformance,
    TokenizerConformance,
)


class TestBackend(BackendConformance):
    """The suite for backends, on a clock that is moved by hand."""

    passed = 0.0

    def make(self):
        """Make an empty one."""
        return ExampleBackend(now=lambda: time.monotonic() + self.passed)

    def pass_time(self, seconds):
        """Move the clock."""
        self.passed += seconds


class TestTokenizer(TokenizerConformance):
    """The suite for tokenizers."""

    def make(self):
        """Make one."""
        return WordTokenizer()


class TestExporter(ExporterConformance):
    """The suite for exporters."""

    @pytest.fixture(autouse=True)
    def _file(self, tmp_path):
        self.file = tmp_path / "events.jsonl"

    def make(self):
        """Make one that writes to a file of the test."""
        return LinesExporter(self.file)

    def exported(self, exporter):
        """Count the lines."""
        return len(self.file.read_text(encoding="utf-8").splitlines())


def test_agentperf_finds_it():
    """It is installed with this checkout, and offers one of each."""
    listed = {plugin.origin.plugin: plugin for plugin in agentperf.Host().plugins.listed()}
    assert listed["example"].state == "loaded"
    assert listed["example"].origin.distribution == "agentperf-sdk-example 0.1.0"
    offers = {kind.plural: names for kind, names in listed["example"].offers.items()}
    assert offers == {
        "cache backends": ["example"],
        "tokenizers": ["example/*"],
        "exporters": ["example"],
    }


def test_a_cache_by_name():
    """`backend="example"` keeps answers in it; another place is another."""
    calls = []

    @agentperf.cached(ttl="1h", backend="example:here", name="answers")
    def answer(question):
        calls.append(question)
        return {"answer": question}

    @agentperf.cached(ttl="1h", backend="example:there", name="answers-too")
    def elsewhere(question):
        calls.append(question)

    with fresh_host():
        assert answer("why?") == answer("why?") == {"answer": "why?"}
        elsewhere("why?")
    assert calls == ["why?", "why?"]


def test_a_tokenizer_by_model():
    """A model's name chooses the tokenizer."""
    with fresh_host():
        count = agentperf.count_tokens("Hello, world!", model="example/words")
    assert (count, count.exact, count.source) == (4, True, "example-words")


def test_an_exporter_by_configuration(tmp_path, monkeypatch):
    """A setting starts it; what happened stands in the file."""
    file = tmp_path / "events.jsonl"
    monkeypatch.setenv("EXAMPLE_EVENTS", str(file))

    @agentperf.timed("hello")
    def hello():
        return "hello"

    with fresh_host() as host:
        host.configure(exporters=["example"])
        hello()
        host.configure(exporters=[])
    (line,) = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["operation"] == "hello"
