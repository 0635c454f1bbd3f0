"""Names of models lead to how they count."""

from __future__ import annotations

import pytest

from agentperf.tokens.models import UNKNOWN, profile


@pytest.mark.parametrize(
    ("model", "vocabulary"),
    [
        ("gpt-4o", "o200k_base"),
        ("gpt-4o-2024-08-06", "o200k_base"),
        ("GPT-4o-mini ", "o200k_base"),
        ("openai/gpt-4.1-nano", "o200k_base"),
        ("gpt-5.4-mini", "o200k_base"),
        ("o3-mini", "o200k_base"),
        ("gpt-oss-120b", "o200k_base"),
        ("ft:gpt-4o-mini-2024-07-18:acme::abc", "o200k_base"),
        ("o200k_base", "o200k_base"),
        ("gpt-4", "cl100k_base"),
        ("gpt-4-turbo-2024-04-09", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("azure/gpt-35-turbo", "cl100k_base"),
        ("text-embedding-3-small", "cl100k_base"),
        ("cl100k_base", "cl100k_base"),
    ],
)
def test_own_vocabularies(model, vocabulary):
    """Models whose vocabulary is public are counted with it."""
    found = profile(model)
    assert (found.vocabulary, found.percent, found.is_exact) == (vocabulary, 100, True)


@pytest.mark.parametrize(
    ("model", "percent"),
    [
        ("claude-3-5-sonnet-20241022", 118),
        ("us.anthropic.claude-3-5-sonnet-20241022-v2:0", 118),
        ("claude-opus-4-6", 118),
        ("claude-opus-4-7", 153),
        ("anthropic/claude-sonnet-5", 153),
        ("models/gemini-2.5-pro", 120),
        ("meta-llama/Llama-3.1-8B-Instruct", 100),
        ("llama3.1", 100),
        ("qwen3:32b", 108),
        ("mistral-large-latest", 111),
    ],
)
def test_families(model, percent):
    """Models with another vocabulary are counted by what their family needs, and marked so."""
    found = profile(model)
    assert (found.vocabulary, found.percent) == ("o200k_base", percent)
    assert found.error


@pytest.mark.parametrize("model", [None, "", "gpt-6-sol", "gpt-4.7", "o1x", "command-r", "..", "/"])
def test_unknown_models(model):
    """Nothing is claimed of a model that isn't known, however much its name looks like another."""
    assert profile(model) == UNKNOWN
    assert profile(model).error is None


def test_small_models_see_larger_images():
    """An image has more tokens for gpt-4o-mini than for gpt-4o."""
    assert profile("gpt-4o-mini").images > profile("gpt-4o").images
