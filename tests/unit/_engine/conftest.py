"""What the tests of the engine share."""

from __future__ import annotations

import pytest

from tests.unit._engine.spies import Spy


@pytest.fixture
def spy(fresh_host):
    """A recording gate, on a fresh host."""
    return Spy()
