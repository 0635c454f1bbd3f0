"""Calls of tools: which one a request demands, with arguments that its schema allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from agentperf.testing.fake_llm.wire import Json, RefusedError

_DEEPEST = 8
"""Schemas may refer to themselves; what is nested deeper is left out."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The model wants a tool to be called.

    Attributes:
        name: The tool.
        arguments: What to call it with, in terms of JSON.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def demanded(body: Json) -> ToolCall | None:
    """Return the call that a request demands by its `tool_choice`; None where it may get text.

    A named function is called, and with `"required"` the first one.

    Raises:
        RefusedError: The tool that is demanded is not among the request's tools.
    """
    choice = body.get("tool_choice")
    if isinstance(choice, Mapping):
        wanted = _function(choice).get("name")
    elif choice == "required":
        wanted = None
    else:
        return None
    offered = [_function(tool) for tool in body.get("tools") or () if isinstance(tool, Mapping)]
    for tool in offered:
        if tool.get("name") and wanted in (None, tool["name"]):
            return ToolCall(tool["name"], _example(tool.get("parameters") or {}))
    raise RefusedError(400, "'tool_choice' demands a function that is not among 'tools'")


def _function(tool: Mapping[str, Any]) -> Mapping[str, Any]:
    """Chat completions put a function into a table of its own, responses don't."""
    inner = tool.get("function")
    return inner if isinstance(inner, Mapping) else tool


def _example(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Make the same arguments each time: what is required, and nothing else."""
    return _Maker(schema.get("$defs") or {}).required(schema, 0)


class _Maker:
    def __init__(self, definitions: Mapping[str, Any]) -> None:
        self._definitions = definitions

    def required(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        known = schema.get("properties") or {}
        if depth > _DEEPEST:
            return {}
        return {
            name: self.value(known.get(name) or {}, depth) for name in schema.get("required", ())
        }

    def value(self, schema: Mapping[str, Any], depth: int) -> Any:
        if "$ref" in schema:
            schema = self._definitions.get(str(schema["$ref"]).rpartition("/")[2], {})
        for chosen in ("const", "default"):
            if chosen in schema:
                return schema[chosen]
        for choices in ("enum", "examples"):
            if schema.get(choices):
                return schema[choices][0]
        for ways in ("anyOf", "oneOf"):
            if schema.get(ways):
                return self.value(schema[ways][0], depth + 1) if depth <= _DEEPEST else None
        return self._by_type(schema, depth + 1)

    def _by_type(self, schema: Mapping[str, Any], depth: int) -> Any:
        kind = schema.get("type", "string")
        if isinstance(kind, list):
            kind = kind[0]
        if kind == "object":
            return self.required(schema, depth)
        if kind == "array":
            return [self.value(schema.get("items") or {}, depth)] if depth <= _DEEPEST else []
        return {
            "integer": schema.get("minimum", 1),
            "number": schema.get("minimum", 1.0),
            "boolean": True,
            "null": None,
        }.get(kind, "text".ljust(schema.get("minLength", 0), "x"))
