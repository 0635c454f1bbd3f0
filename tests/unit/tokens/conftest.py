"""Engines with the true vocabularies, loaded once."""

from __future__ import annotations

import pytest

from agentperf.tokens.engines import Engine, load
from agentperf.tokens.vocabularies import KNOWN


@pytest.fixture(scope="session", params=sorted(KNOWN))
def name(request) -> str:
    """The name of each vocabulary in turn."""
    return request.param


@pytest.fixture(scope="session")
def loaded() -> dict[str, Engine]:
    """The engines of all vocabularies; the test group installs a package that carries them."""
    engines = {name: load(vocabulary) for name, vocabulary in KNOWN.items()}
    assert None not in engines.values()
    return engines


@pytest.fixture
def elsewhere(monkeypatch, tmp_path):
    """A machine without any vocabulary, whose user's folder is a fresh one."""
    for variable in ("AGENTPERF_VOCABULARY_DIR", "TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("AGENTPERF_HOME", str(tmp_path / "home"))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path / "temporary"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    return tmp_path
