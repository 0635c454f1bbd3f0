"""What stands in a recording: a header, then a line of JSON for every call.

Nothing secret is written: no argument, result, prompt, header or attribute of a call.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from agentperf._base.endings import Ending
from agentperf.abc.exporters import Noted
from agentperf.events import CallEnded, HttpCallEnded, ModelCallEnded
from agentperf.usage import Usage

FORMAT = 1
"""The version of the format that is written; older ones are read too."""

HEADER = "agentperf_recording"
"""The key of the header that holds the version of the format."""

CACHE_COUNTS = ("hits", "misses", "shared", "stored", "refused")
"""What is counted of an operation's cache."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The first line of a recording.

    Attributes:
        agentperf: The version of agentperf that wrote it.
        python: The version of Python the program ran on.
        program: The file or module that was run; its arguments are not written down.
        started: When the run began, in seconds since the epoch.
    """

    agentperf: str
    python: str
    program: str
    started: float

    def line(self) -> dict[str, Any]:
        """Return the header as the first line."""
        return {HEADER: FORMAT, **asdict(self)}


def call_line(noted: Noted) -> dict[str, Any] | None:
    """Return the line of a call; None for an event of another kind."""
    event = noted.event
    if not isinstance(event, CallEnded):
        return None
    line = {
        "kind": "call",
        "at": round(noted.at, 6),
        "operation": event.operation,
        "seconds": event.seconds,
        "ending": event.ending.value,
        "error": event.error,
        "first_item": event.first_item,
        "items": event.items,
        "usage": None if event.usage is None else _spelled_out(asdict(event.usage)),
    }
    if isinstance(event, ModelCallEnded):
        model = {"provider": event.provider, "model": event.model, "server": event.server}
        line |= {"kind": "model", **model}
    elif isinstance(event, HttpCallEnded):
        http = {"method": event.method, "server": event.server, "status": event.status}
        line |= {"kind": "http", **http}
    return _spelled_out(line)


def cache_line(at: float, operation: str, counts: Mapping[str, int]) -> dict[str, Any]:
    """Return the line that says what an operation's cache did since the line before."""
    return {"kind": "cache", "at": round(at, 6), "operation": operation, **counts}


def end_line(at: float, dropped: int) -> dict[str, Any]:
    """Return the last line of a run that came to its end; `dropped` calls were not written."""
    return {"kind": "end", "at": round(at, 6), "dropped": dropped}


_encode = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encoded(lines: Iterable[Mapping[str, Any]]) -> bytes:
    """Return lines as they stand in the file."""
    return "".join(f"{_encode(line)}\n" for line in lines).encode()


def _spelled_out(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not known."""
    return {name: value for name, value in facts.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Call:
    """A call, as it was read."""

    operation: str
    seconds: float
    ending: Ending
    error: str | None
    first_item: float | None
    usage: Usage | None
    model: bool
    streamed: bool


class Malformed(ValueError):
    """What a line has in the place of what it should have."""


def header_of(line: Mapping[str, Any]) -> Header:
    """Read the first line.

    Raises:
        Malformed: It is no header, or one of a newer format.
    """
    version = line.get(HEADER)
    if isinstance(version, bool) or not isinstance(version, int):
        raise Malformed("this is no recording of agentperf's: its first line is no header")
    if version > FORMAT:
        raise Malformed(
            f"it has format {version}, which a newer agentperf wrote; this one reads up to {FORMAT}"
        )
    return Header(
        agentperf=_text(line, "agentperf"),
        python=_text(line, "python"),
        program=_text(line, "program"),
        started=_number(line, "started"),
    )


def call_of(line: Mapping[str, Any]) -> Call:
    """Read the line of a call.

    Raises:
        Malformed: A field is missing or isn't what it should be.
    """
    try:
        ending = Ending(line.get("ending"))
    except ValueError:
        known = ", ".join(each.value for each in Ending)
        raise Malformed(f"ending={line.get('ending')!r} is none of {known}") from None
    return Call(
        _text(line, "operation"),
        _number(line, "seconds"),
        ending,
        _text(line, "error") if "error" in line else None,
        _number(line, "first_item") if "first_item" in line else None,
        _usage(line["usage"]) if "usage" in line else None,
        model=line.get("kind") == "model",
        streamed="items" in line or "first_item" in line,
    )


def cache_of(line: Mapping[str, Any]) -> tuple[str, dict[str, int]]:
    """Read the line of a cache: the operation and its counts.

    Raises:
        Malformed: A field is missing or isn't what it should be.
    """
    return _text(line, "operation"), {name: _whole(line, name) for name in CACHE_COUNTS}


def dropped_of(line: Mapping[str, Any]) -> int:
    """Read how many calls were not written, from the last line.

    Raises:
        Malformed: The field is missing or isn't what it should be.
    """
    return _whole(line, "dropped")


def _usage(value: Any) -> Usage:
    if not isinstance(value, Mapping):
        raise Malformed(f"usage={value!r} is no object")
    tokens = {name: _whole(value, name) for name in value if name != "cost_usd"}
    cost = _number(value, "cost_usd") if "cost_usd" in value else None
    try:
        return Usage(**tokens, cost_usd=cost)
    except TypeError:
        raise Malformed(f"usage={value!r} has other fields than a usage") from None


def _text(line: Mapping[str, Any], name: str) -> str:
    if not isinstance(value := line.get(name), str):
        raise Malformed(f"{name}={value!r} is no text")
    return value


def _number(line: Mapping[str, Any], name: str) -> float:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Malformed(f"{name}={value!r} is no number")
    return float(value)


def _whole(line: Mapping[str, Any], name: str) -> int:
    value = line.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise Malformed(f"{name}={value!r} is no whole number from 0 up")
    return value
