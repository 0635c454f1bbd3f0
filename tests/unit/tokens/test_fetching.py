"""A vocabulary is fetched when asked to, whole or not at all."""

from __future__ import annotations

import base64

import pytest

from agentperf.errors import AgentPerfError, ConfigurationError
from agentperf.tokens import fetch, fetching
from agentperf.tokens.engines import Loader, load
from agentperf.tokens.vocabularies import KNOWN, find, ranks

CL100K = KNOWN["cl100k_base"]


@pytest.fixture
def published(monkeypatch, tmp_path):
    """A stand-in for what tiktoken downloads: given as Python code for the ranks."""
    place = tmp_path / "published"
    (place / "tiktoken_ext").mkdir(parents=True)
    monkeypatch.setenv("PYTHONPATH", str(place))

    def publish(code: str) -> None:
        (place / "tiktoken_ext" / "openai_public.py").write_text(
            f"import os, time\ndef make():\n    return {{'mergeable_ranks': {code}}}\n"
            "ENCODING_CONSTRUCTORS = {'cl100k_base': make}\n"
        )

    return publish


@pytest.fixture
def home(elsewhere):
    """Where a fetched vocabulary is kept."""
    return elsewhere / "home" / "vocabularies"


@pytest.fixture(scope="module")
def true_file(tmp_path_factory):
    """The true vocabulary, from the package of the test group."""
    file = tmp_path_factory.mktemp("true") / "ranks"
    found = find(CL100K)
    assert found is not None
    file.write_bytes(found.data)
    return file


def test_fetching(published, home, true_file):
    """What was fetched is kept for the user under its name, and is what is loaded from then on."""
    published(
        f"__import__('pickle').loads({b''!r}) if 0 else eval(open({str(true_file)!r}).read())"
    )
    code = (
        "{__import__('base64').b64decode(line.split()[0]): int(line.split()[1]) "
        f"for line in open({str(true_file)!r}, 'rb')}}"
    )
    published(code)
    loader = Loader(lambda: load(CL100K))
    assert loader.now() is None
    path = fetch("cl100k_base")
    assert path == home / "cl100k_base.tiktoken"
    assert path.read_bytes() == true_file.read_bytes()
    assert [file.name for file in home.iterdir()] == ["cl100k_base.tiktoken"]
    engine = loader.now()
    assert engine is not None
    assert engine.count("hello world") == 2


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("{b'!': 0}", "damaged on the way"),
        ("1 / 0", "could not be fetched: ZeroDivisionError"),
        ("os._exit(3)", "could not be fetched"),
    ],
)
def test_failing(published, home, code, says):
    """A download that fails or is damaged is an error, and nothing is kept."""
    published(code)
    with pytest.raises(AgentPerfError, match=says):
        fetch("cl100k_base")
    assert not home.exists()


def test_a_silent_network(published, home):
    """A download that doesn't end is given up."""
    published("time.sleep(30)")
    with pytest.raises(AgentPerfError, match=r"within 0\.5 s"):
        fetch("cl100k_base", timeout=0.5)


def test_tiktokens_cache_is_left_alone(published, home):
    """A damaged file in its cache would be deleted by tiktoken, so it is told to use none."""
    published("{os.environ['TIKTOKEN_CACHE_DIR'].encode() + b'x': 0}")
    with pytest.raises(AgentPerfError, match="damaged"):
        fetch("cl100k_base")
    line = base64.b64encode(b"x") + b" 0\n"
    assert fetching._download(CL100K, 30) == line
    assert ranks(line) == {b"x": 0}


def test_a_place_that_can_not_be_written(true_file, elsewhere, monkeypatch):
    """Where the folder can't be made, the error says so."""
    (elsewhere / "home").write_text("a file, no folder")
    monkeypatch.setattr(fetching, "_download", lambda known, timeout: true_file.read_bytes())
    with pytest.raises(AgentPerfError, match="could not be written"):
        fetch("cl100k_base")


def test_half_a_file_is_never_seen(home, monkeypatch):
    """A write that breaks off leaves nothing behind."""

    def break_off(self, target):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", break_off)
    with pytest.raises(OSError, match="disk full"):
        fetching._keep(b"data", home / "x.tiktoken")
    assert list(home.iterdir()) == []


def test_unknown_names():
    """Only vocabularies we know can be fetched."""
    with pytest.raises(ConfigurationError, match="known: o200k_base, cl100k_base"):
        fetch("p50k_base")


def test_nowhere_to_keep_it(monkeypatch):
    """A user without a home has to name a folder."""
    monkeypatch.setattr(fetching, "folder", lambda: None)
    with pytest.raises(ConfigurationError, match="AGENTPERF_HOME"):
        fetch("cl100k_base")
