"""Tool schemas are written as declarations."""

from __future__ import annotations

import pytest

from agentperf.tokens.tools import declarations


def test_a_function_without_parameters():
    """A function that takes nothing is one line."""
    assert declarations([{"name": "now"}]) == (
        "namespace functions {\n\ntype now = () => any;\n\n} // namespace functions"
    )


def test_a_whole_function():
    """Descriptions become comments, what isn't required gets a question mark."""
    schema = {
        "name": "search",
        "description": "Search the web",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string", "description": "What to look for"},
                "limit": {"type": "integer"},
                "sort": {"type": "string", "enum": ["date", "rank"]},
                "filter": {
                    "type": "object",
                    "properties": {"site": {"type": "string", "description": "left out"}},
                    "required": ["site"],
                },
                "words": {"type": "array", "items": {"type": "string"}},
                "rest": {"type": "array"},
                "either": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "whatever": {},
            },
            "required": ["query"],
        },
    }
    assert declarations([schema]).splitlines() == [
        "namespace functions {",
        "",
        "// Search the web",
        "type search = (_: {",
        "// What to look for",
        "query: string,",
        "limit?: number,",
        'sort?: "date" | "rank",',
        "filter?: {",
        "  site: string,",
        "},",
        "words?: string[],",
        "rest?: any[],",
        "either?: string | null,",
        "whatever?: any,",
        "}) => any;",
        "",
        "} // namespace functions",
    ]


@pytest.mark.parametrize(
    "parameters",
    [
        None,
        True,
        [],
        {"properties": {"x": True}},
        {"properties": {"x": {"type": ["string", "null"]}}, "required": "x"},
        {"properties": []},
        {"properties": {"x": {"enum": [1, None, "é"], "items": 3}}},
    ],
)
def test_odd_schemas_are_written_somehow(parameters):
    """What is no schema of the usual kind is still counted, never an error."""
    assert "type f = (" in declarations([{"name": "f", "parameters": parameters}])
