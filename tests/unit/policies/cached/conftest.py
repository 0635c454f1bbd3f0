"""What every test of caches begins with."""

from __future__ import annotations

import pytest

from agentperf.policies.cached.decorator import TAGGED


@pytest.fixture(autouse=True)
def _no_tags_of_other_tests():
    """Invalidations would reach what those decorated, on backends that fail or are gone."""
    TAGGED.clear()
