"""The reference names every attribute and metric that is made, and no other."""

from __future__ import annotations

import re

from agentperf.instrumentation.otel import names
from tests.contracts.source_tree import ROOT

PAGE = (ROOT / "docs" / "reference" / "instrumentation.md").read_text(encoding="utf-8")
DOTTED = re.compile(r"(?:gen_ai|openai|http|server|url|network|error|agentperf)\.[a-z_.]+[a-z]")
NO_SIGNALS = re.compile(r"agentperf\.(?!cost_usd|ending).*")


def made():
    """List the names in the table of names."""
    constants = [
        value for name, value in vars(names).items() if isinstance(value, str) and name.isupper()
    ]
    constants += [name for name, _, _ in names.SETTINGS]
    for generation in (names.V1_41, names.LATEST):
        constants += [generation.duration, generation.first_chunk, generation.per_chunk]
        constants.append(generation.cache_write)
    constants += [names.PER_OPERATION + name for name in ("input_tokens", "output_tokens")]
    return {name for name in constants if DOTTED.fullmatch(name)}


def test_the_reference_has_every_name():
    """What is made is documented, and what is documented is made."""
    said = {
        name
        for name in re.findall(r"`([^`]+)`", PAGE)
        if DOTTED.fullmatch(name) and not NO_SIGNALS.fullmatch(name)
    }
    assert said == made()
    assert all(f"`{name}`" in PAGE for name in names.COUNTERS)
