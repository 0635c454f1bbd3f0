"""Tool schemas in the form in which OpenAI's models are believed to read them.

The provider doesn't publish it; others inferred from reported usage that the schemas become
declarations in the style of TypeScript. What is counted here is that text.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

_DEEPEST_COMMENT = 1
"""Objects nested deeper than this lose the descriptions of their fields."""


def declarations(functions: Iterable[Mapping[str, Any]]) -> str:
    """Write the declarations of functions, given by name, description and JSON schema."""
    lines = ["namespace functions {", ""]
    for function in functions:
        if description := function.get("description"):
            lines.append(f"// {description}")
        parameters = _mapping(function.get("parameters"))
        argument = ""
        if _mapping(parameters.get("properties")):
            argument = "_: " + _object(parameters, 0)
        lines += [f"type {function.get('name')} = ({argument}) => any;", ""]
    lines.append("} // namespace functions")
    return "\n".join(lines)


def _object(schema: Mapping[str, Any], depth: int) -> str:
    required = schema.get("required")
    needed = required if isinstance(required, list | tuple) else ()
    margin = "  " * depth
    lines = ["{"]
    for name, value in _mapping(schema.get("properties")).items():
        inner = _mapping(value)
        if depth < _DEEPEST_COMMENT and (description := inner.get("description")):
            lines.append(f"{margin}// {description}")
        mark = "" if name in needed else "?"
        lines.append(f"{margin}{name}{mark}: {_type(inner, depth)},")
    return "\n".join([*lines, "}"])


def _type(schema: Mapping[str, Any], depth: int) -> str:
    """Write the type of one value."""
    for choice in ("anyOf", "oneOf", "allOf"):
        if isinstance(among := schema.get(choice), list | tuple):
            return " | ".join(_type(_mapping(one), depth) for one in among)
    if isinstance(values := schema.get("enum"), list | tuple):
        return " | ".join(json.dumps(value, ensure_ascii=False) for value in values)
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, depth + 1)
    if kind == "array":
        return f"{_type(_mapping(schema['items']), depth)}[]" if "items" in schema else "any[]"
    return {"integer": "number"}.get(kind, kind) if isinstance(kind, str) else "any"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
