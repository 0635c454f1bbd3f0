"""What users say: the conversations that the demo plays, read from a file of JSON lines."""

from __future__ import annotations

import difflib
import importlib.resources
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agentperf.errors import ConfigurationError

_EXAMPLE = (
    '{"profile": "anna", "session": "monday", "text": "Where is my sister?", "expect": ["Ghent"]}'
)
_KEYS = ("profile", "session", "text", "expect", "private")


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a user.

    Attributes:
        profile: Whose message it is; each profile has a memory of its own.
        session: The conversation it belongs to.
        text: What the user says.
        expect: Words that a right answer holds; empty when anything will do.
        private: Whether the user is in private mode: nothing is kept.
    """

    profile: str
    session: str
    text: str
    expect: tuple[str, ...] = ()
    private: bool = False


def load(path: Path | None = None) -> list[Message]:
    """Read messages from a file of JSON lines, one message per line; by default the sample.

    Raises:
        ConfigurationError: There is no such file, it holds no message, or a line is malformed.
    """
    messages = parse(_sample() if path is None else _read(path), str(path or "the sample"))
    if not messages:
        raise ConfigurationError(f"--input {path} holds no message; write one per line: {_EXAMPLE}")
    return messages


def parse(text: str, source: str) -> list[Message]:
    """Read messages from JSON lines; `source` names them in errors. Empty lines don't count."""
    lines = enumerate(text.splitlines(), start=1)
    return [_message(line, f"{source}, line {number}") for number, line in lines if line.strip()]


def repeated(messages: Sequence[Message]) -> list[bool]:
    """Tell of each message whether its profile said the very same before."""
    seen: set[tuple[str, str]] = set()
    result = []
    for message in messages:
        key = message.profile, message.text
        result.append(key in seen)
        seen.add(key)
    return result


def _sample() -> str:
    return importlib.resources.files("agentperf.demo").joinpath("sample.jsonl").read_text("utf-8")


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"--input {path} can't be read ({reason}). Expected are lines such as {_EXAMPLE}"
        ) from error


def _message(line: str, where: str) -> Message:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise _malformed(where, f"not JSON ({error})") from error
    if not isinstance(entry, dict):
        raise _malformed(where, "not a JSON object")
    for key in entry:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f", did you mean {close[0]!r}" if close else f"; known are {', '.join(_KEYS)}"
            raise _malformed(where, f"unknown key {key!r}{hint}")
    for key in ("profile", "text"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise _malformed(where, f"{key!r} must be a text that is not empty")
    session, expect = entry.get("session", "all"), entry.get("expect", [])
    if not isinstance(session, str):
        raise _malformed(where, "'session' must be a text")
    if not isinstance(expect, list) or not all(isinstance(word, str) for word in expect):
        raise _malformed(where, "'expect' must be a list of texts")
    private = entry.get("private", False)
    if not isinstance(private, bool):
        raise _malformed(where, "'private' must be true or false")
    return Message(entry["profile"], session, entry["text"], tuple(expect), private=private)


def _malformed(where: str, problem: str) -> ConfigurationError:
    return ConfigurationError(f"{where}: {problem}. Expected is a line such as {_EXAMPLE}")
