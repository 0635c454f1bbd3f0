"""The vocabularies we know, and the places on this machine where one may already lie.

Nothing here reaches for the network, imports the packages it looks into, writes or deletes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
from binascii import a2b_base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from agentperf._base import log

_LARGEST = 16 * 1024 * 1024
"""More bytes than any vocabulary has; a file that unpacks to more is not one."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """One published set of tokens.

    Attributes:
        name: The name it is known by, such as `"o200k_base"`.
        sha256: The hash of its file, the one that tiktoken checks too.
        cached_as: The name under which tiktoken's cache keeps the file.
        pattern: How text is split into pieces before tokens are looked for.
    """

    name: str
    sha256: str
    cached_as: str
    pattern: str = field(repr=False)

    @property
    def file_name(self) -> str:
        """The name of its file in our own folder."""
        return f"{self.name}.tiktoken"


_CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"

# Patterns and hashes are facts of the vocabularies, as tiktoken's public definitions give them.
KNOWN = MappingProxyType(
    {
        "o200k_base": Vocabulary(
            "o200k_base",
            sha256="446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
            cached_as="fb374d419588a4632f3f557e76b4b70aebbca790",
            pattern="|".join(
                (
                    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTIONS}",
                    rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTIONS}",
                    r"\p{N}{1,3}",
                    r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
                    r"\s*[\r\n]+",
                    r"\s+(?!\S)",
                    r"\s+",
                )
            ),
        ),
        "cl100k_base": Vocabulary(
            "cl100k_base",
            sha256="223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
            cached_as="9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
            pattern=r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
            r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Found:
    """A vocabulary's file whose hash is right.

    Attributes:
        where: What kind of place it is in, in words.
        path: The file.
        data: Its content, unpacked.
    """

    where: str
    path: Path
    data: bytes = field(repr=False)


def folder() -> Path | None:
    """Return the folder where fetched vocabularies are kept: in `AGENTPERF_HOME`, or the user's.

    None where the user has no home.
    """
    home = os.environ.get("AGENTPERF_HOME")
    try:
        return (Path(home).expanduser() if home else _user_data() / "agentperf") / "vocabularies"
    except RuntimeError:
        return None


def _user_data() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")


def places(vocabulary: Vocabulary) -> Iterator[tuple[str, Path]]:
    """Yield where the file may lie, best first, as (kind of place, path)."""
    names = vocabulary.file_name, f"{vocabulary.file_name}.gz", vocabulary.cached_as
    if given := os.environ.get("AGENTPERF_VOCABULARY_DIR"):
        yield from (("AGENTPERF_VOCABULARY_DIR", Path(given) / name) for name in names)
    if own := folder():
        yield "fetched", own / vocabulary.file_name
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if given := os.environ.get(variable):
            yield variable, Path(given) / vocabulary.cached_as
    import tempfile

    yield "tiktoken's cache", Path(tempfile.gettempdir(), "data-gym-cache", vocabulary.cached_as)
    for package, inside in (
        ("bpe_openai", Path("data", f"{vocabulary.file_name}.gz")),
        ("llama_index", Path("core", "_static", "tiktoken_cache", vocabulary.cached_as)),
        ("litellm", Path("litellm_core_utils", "tokenizers", vocabulary.cached_as)),
    ):
        yield from ((f"package {package}", place / inside) for place in _package(package))


def _package(name: str) -> Iterator[Path]:
    """Yield the folders of an installed package, without importing it."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return
    yield from map(Path, (spec and spec.submodule_search_locations) or ())


def find(vocabulary: Vocabulary) -> Found | None:
    """Return the first file whose hash is right; a damaged one is told of once and left alone."""
    for where, path in places(vocabulary):
        try:
            data = _read(path)
        except FileNotFoundError:
            continue
        except (OSError, EOFError) as error:
            log.warn("vocabulary.unreadable", path=str(path), reason=str(error))
            continue
        if hashlib.sha256(data).hexdigest() == vocabulary.sha256:
            return Found(where, path, data)
        log.warn("vocabulary.damaged", path=str(path), reason="its SHA-256 is not the expected one")
    return None


def _read(path: Path) -> bytes:
    if path.suffix != ".gz":
        with path.open("rb") as file:
            return file.read(_LARGEST)
    import gzip
    import zlib

    try:
        with gzip.open(path) as packed:
            return packed.read(_LARGEST)
    except zlib.error as error:
        raise gzip.BadGzipFile(str(error)) from error


def ranks(data: bytes) -> dict[bytes, int]:
    """Read a vocabulary's file: a token in base64 and its rank on every line, in order of rank."""
    return {a2b_base64(token): rank for rank, token in enumerate(data.split()[::2])}
