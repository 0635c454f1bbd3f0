"""A test that lacks its server says so."""

from __future__ import annotations

import pytest

from tests.services import installed


def test_a_missing_server_is_told(monkeypatch):
    """It is skipped with a reason; where servers are required it fails."""
    monkeypatch.delenv("REQUIRE_SERVICES", raising=False)
    with pytest.raises(pytest.skip.Exception, match="NO SERVER: no-such-server"):
        installed("no-such-server")
    monkeypatch.setenv("REQUIRE_SERVICES", "1")
    with pytest.raises(pytest.fail.Exception, match="NO SERVER: no-such-server"):
        installed("no-such-server")
