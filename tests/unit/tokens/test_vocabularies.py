"""Vocabularies are found where they lie, checked, and never harmed."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import logging
from pathlib import Path

import pytest

from agentperf.tokens import vocabularies
from agentperf.tokens.vocabularies import KNOWN, find, folder, places, ranks

O200K = KNOWN["o200k_base"]
CL100K = KNOWN["cl100k_base"]


@pytest.fixture(scope="module")
def data() -> bytes:
    """The true file of the smaller vocabulary."""
    found = find(CL100K)
    assert found is not None
    return found.data


def test_what_is_known_is_what_tiktoken_defines(monkeypatch, name):
    """Hashes, names in the cache and patterns are those of tiktoken's own definitions."""
    from tiktoken_ext import openai_public

    seen = []
    monkeypatch.setattr(
        openai_public,
        "load_tiktoken_bpe",
        lambda url, expected_hash: seen.append((url, expected_hash)),
    )
    definition = openai_public.ENCODING_CONSTRUCTORS[name]()
    [(url, sha256)] = seen
    known = KNOWN[name]
    assert known.sha256 == sha256
    assert known.cached_as == hashlib.sha1(url.encode(), usedforsecurity=False).hexdigest()
    assert known.pattern == definition["pat_str"]


def test_the_ranks_are_in_order(data):
    """The file gives every token its rank, beginning at zero."""
    found = ranks(data)
    assert len(found) == 100_256
    assert found[b"!"] == 0
    line = data.splitlines()[5000].split()
    assert found[vocabularies.a2b_base64(line[0])] == int(line[1])


def test_a_given_folder_comes_first(elsewhere, monkeypatch, data):
    """AGENTPERF_VOCABULARY_DIR is looked into before everything else, packed or not."""
    given, home = elsewhere / "given", elsewhere / "home" / "vocabularies"
    for place in (given, home):
        place.mkdir(parents=True)
    (home / "cl100k_base.tiktoken").write_bytes(data)
    (given / "cl100k_base.tiktoken.gz").write_bytes(gzip.compress(data, 1))
    monkeypatch.setenv("AGENTPERF_VOCABULARY_DIR", str(given))
    found = find(CL100K)
    assert found is not None
    assert (found.where, found.path) == (
        "AGENTPERF_VOCABULARY_DIR",
        given / "cl100k_base.tiktoken.gz",
    )
    assert found.data == data


@pytest.mark.parametrize(
    ("variable", "file"),
    [
        ("AGENTPERF_VOCABULARY_DIR", CL100K.cached_as),
        ("TIKTOKEN_CACHE_DIR", CL100K.cached_as),
        ("DATA_GYM_CACHE_DIR", CL100K.cached_as),
    ],
)
def test_caches_of_tiktoken_are_used(elsewhere, monkeypatch, data, variable, file):
    """What tiktoken has downloaded before serves as it is."""
    (elsewhere / file).write_bytes(data)
    monkeypatch.setenv(variable, str(elsewhere))
    found = find(CL100K)
    assert found is not None
    assert found.where == variable


def test_the_shared_cache_is_used(elsewhere, data):
    """So does tiktoken's default cache among the temporary files, if the hash is right."""
    shared = elsewhere / "temporary" / "data-gym-cache"
    shared.mkdir(parents=True)
    (shared / CL100K.cached_as).write_bytes(data)
    found = find(CL100K)
    assert found is not None
    assert found.where == "tiktoken's cache"


@pytest.mark.parametrize(
    ("package", "inside"),
    [
        ("bpe_openai", f"data/{CL100K.name}.tiktoken.gz"),
        ("llama_index", f"core/_static/tiktoken_cache/{CL100K.cached_as}"),
        ("litellm", f"litellm_core_utils/tokenizers/{CL100K.cached_as}"),
    ],
)
def test_packages_are_looked_into_without_importing_them(
    elsewhere, monkeypatch, data, package, inside
):
    """A package that carries the file is found by its folder; its code is not run."""
    place = elsewhere / "site" / package
    file = place / inside
    file.parent.mkdir(parents=True)
    file.write_bytes(gzip.compress(data, 1) if file.suffix == ".gz" else data)
    (place / "__init__.py").write_text("raise AssertionError('imported')")
    spec = importlib.util.spec_from_file_location(
        package, place / "__init__.py", submodule_search_locations=[str(place)]
    )
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec if name == package else None)
    found = find(CL100K)
    assert found is not None
    assert (found.where, found.path) == (f"package {package}", file)


def test_a_damaged_file_is_passed_over(elsewhere, monkeypatch, caplog, data):
    """A file with a wrong hash is told of in one line and left alone, and the next one serves."""
    given, home = elsewhere / "given", elsewhere / "home" / "vocabularies"
    for place in (given, home):
        place.mkdir(parents=True)
    damaged = given / "cl100k_base.tiktoken"
    damaged.write_bytes(data[:-1] + b"x")
    (home / "cl100k_base.tiktoken").write_bytes(data)
    monkeypatch.setenv("AGENTPERF_VOCABULARY_DIR", str(given))
    with caplog.at_level(logging.WARNING, "agentperf"):
        found = find(CL100K)
    assert found is not None
    assert found.where == "fetched"
    assert [record.message.split()[0] for record in caplog.records] == ["vocabulary.damaged"]
    assert damaged.exists()


@pytest.mark.parametrize(
    "content", [b"", b"not packed", gzip.compress(b"x", mtime=0)[:-6], b"\x1f\x8b\x08junk"]
)
def test_a_broken_archive_is_passed_over(elsewhere, monkeypatch, caplog, content):
    """Whatever is wrong with a packed file, it is passed over with one line."""
    file = elsewhere / "cl100k_base.tiktoken.gz"
    file.write_bytes(content)
    monkeypatch.setenv("AGENTPERF_VOCABULARY_DIR", str(elsewhere))
    with caplog.at_level(logging.WARNING, "agentperf"):
        assert find(CL100K) is None
    assert len(caplog.records) == 1
    assert file.read_bytes() == content


def test_an_archive_that_swells_is_not_unpacked(elsewhere, monkeypatch):
    """A small file that unpacks to more than any vocabulary is not read to its end."""
    monkeypatch.setattr(vocabularies, "_LARGEST", 1000)
    monkeypatch.setenv("AGENTPERF_VOCABULARY_DIR", str(elsewhere))
    (elsewhere / "cl100k_base.tiktoken.gz").write_bytes(gzip.compress(b"x" * 1_000_000))
    assert find(CL100K) is None


def test_nothing_is_found_elsewhere(elsewhere):
    """Without any file there is none, and looking made none."""
    assert find(O200K) is None
    assert list(elsewhere.iterdir()) == []


def test_broken_packages_are_passed_over(elsewhere, monkeypatch):
    """A package whose import machinery is in disorder is as good as none."""

    def disordered(name):
        raise ValueError(f"{name}.__spec__ is None")

    monkeypatch.setattr("importlib.util.find_spec", disordered)
    assert find(O200K) is None


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {}, "user/.local/share/agentperf/vocabularies"),
        ("linux", {"XDG_DATA_HOME": "data"}, "data/agentperf/vocabularies"),
        ("darwin", {}, "user/Library/Application Support/agentperf/vocabularies"),
        ("win32", {}, "user/AppData/Local/agentperf/vocabularies"),
        ("win32", {"LOCALAPPDATA": "local"}, "local/agentperf/vocabularies"),
        ("linux", {"AGENTPERF_HOME": "mine"}, "mine/vocabularies"),
    ],
)
def test_where_the_user_keeps_them(monkeypatch, platform, variables, expected):
    """The user's folder is where the platform has such data, or where AGENTPERF_HOME says."""
    for name in ("AGENTPERF_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("user"))
    assert folder() == Path(expected)


def test_a_user_without_a_home(monkeypatch):
    """Without a home there is no folder of the user's, and no error."""

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    for name in ("AGENTPERF_HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert folder() is None
    assert "fetched" not in [where for where, _ in places(O200K)]
