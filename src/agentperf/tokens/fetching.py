"""Fetching a vocabulary when asked to: the one place here that reaches for the network."""

from __future__ import annotations

import hashlib
import os
import sys
from pathlib import Path

from agentperf.errors import AgentPerfError, ConfigurationError
from agentperf.tokens.engines import look_again
from agentperf.tokens.vocabularies import KNOWN, Vocabulary, folder

# tiktoken knows where its vocabularies are and checks their hashes, but has no time limit and holds
# a lock of the process meanwhile; so it runs in a process of its own, without its cache.
_DOWNLOAD = """
import base64, sys
from tiktoken_ext.openai_public import ENCODING_CONSTRUCTORS
ranks = ENCODING_CONSTRUCTORS[sys.argv[1]]()["mergeable_ranks"]
for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
    sys.stdout.buffer.write(b"%s %d\\n" % (base64.b64encode(token), rank))
"""


def fetch(name: str, *, timeout: float = 60.0) -> Path:
    """Download a vocabulary with tiktoken's own downloader and keep it for this user.

    It is kept in `AGENTPERF_HOME`, or the user's data folder, whole or not at all. Counts are exact
    from then on, in this process too.

    Args:
        name: The vocabulary: `"o200k_base"` or `"cl100k_base"`.
        timeout: Seconds after which to give up.

    Returns:
        The file.

    Raises:
        ConfigurationError: There is no such vocabulary, or nowhere to keep it.
        AgentPerfError: It could not be downloaded, was damaged on the way, or can't be written.
    """
    if name not in KNOWN:
        raise ConfigurationError(f"name={name!r}: no such vocabulary; known: {', '.join(KNOWN)}")
    vocabulary, place = KNOWN[name], folder()
    if place is None:
        raise ConfigurationError("this user has no home: set AGENTPERF_HOME to a folder")
    data = _download(vocabulary, timeout)
    if hashlib.sha256(data).hexdigest() != vocabulary.sha256:
        raise AgentPerfError(f"{name} was damaged on the way: its SHA-256 is not the expected one")
    try:
        path = _keep(data, place / vocabulary.file_name)
    except OSError as error:
        raise AgentPerfError(f"{name} could not be written to {place}: {error}") from error
    look_again()
    return path


def _download(vocabulary: Vocabulary, timeout: float) -> bytes:
    import subprocess

    command = [sys.executable, "-P", "-c", _DOWNLOAD, vocabulary.name]
    try:
        ran = subprocess.run(  # noqa: S603 - our own code in our own interpreter
            command,
            env=os.environ | {"TIKTOKEN_CACHE_DIR": ""},
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise AgentPerfError(
            f"{vocabulary.name} could not be fetched within {timeout:g} s"
        ) from error
    if ran.returncode:
        reason = ran.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise AgentPerfError(f"{vocabulary.name} could not be fetched: {reason}")
    return ran.stdout


def _keep(data: bytes, path: Path) -> Path:
    """Write a file so that nobody ever sees half of it."""
    import tempfile

    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    unfinished = Path(name)
    try:
        with open(handle, "wb") as file:  # noqa: PTH123 - a file that is open already
            file.write(data)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return path
