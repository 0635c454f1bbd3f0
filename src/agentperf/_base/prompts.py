"""What parameters are called that hold what a model is given."""

from __future__ import annotations

PROMPTS = (
    "messages",
    "prompt",
    "input",
    "context",
    "text",
    "texts",
    "question",
    "query",
    "content",
    "document",
    "documents",
)
"""The likelier ones first."""
