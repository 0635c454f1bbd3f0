"""Calls of tools and their results: which messages stay or go together."""

from __future__ import annotations

from collections.abc import Sequence

from agentperf.context.messages import CALLING, blocks, get, is_one_of

_ANSWERING = {"tool", "function"}


def groups(messages: Sequence[object]) -> list[range]:
    """Cut a list into the runs that can only go as a whole; most are one message.

    A call goes with its results and with whatever stands between them, and the thoughts that led
    to a call go with it.
    """
    reach = list(range(len(messages)))
    first: dict[str, int] = {}
    for at, message in enumerate(messages):
        names = [*_called(message), *_answered(message)]
        for name in names:
            reach[first.setdefault(name, at)] = at
        if at and not names and get(message, "role") in _ANSWERING:
            reach[at - 1] = at
        if get(message, "type") == "reasoning" and at + 1 < len(messages):
            reach[at] = at + 1
    found: list[range] = []
    begun = 0
    while begun < len(messages):
        at = end = begun
        while at <= end:
            end = max(end, reach[at])
            at += 1
        found.append(range(begun, at))
        begun = at
    return found


def pending(messages: Sequence[object]) -> set[int]:
    """Find the messages with a call that has no result yet."""
    answered = {name for message in messages for name in _answered(message)}
    return {
        at
        for at, message in enumerate(messages)
        if any(name not in answered for name in _called(message))
    }


def _called(message: object) -> list[str]:
    """List the ids of the calls in a message."""
    ids = [get(call, "id") for call in get(message, "tool_calls") or ()]
    ids += [get(block, "id") for block in blocks(message) if is_one_of(block, CALLING)]
    ids += [] if _is_output(message) else [get(message, "call_id")]
    return [str(each) for each in ids if each]


def _answered(message: object) -> list[str]:
    """List the ids of the calls whose results are in a message."""
    ids = [get(message, "tool_call_id")]
    ids += [get(block, "tool_use_id") for block in blocks(message)]
    ids += [get(message, "call_id")] if _is_output(message) else []
    return [str(each) for each in ids if each]


def _is_output(message: object) -> bool:
    return str(get(message, "type")).endswith("_output")
