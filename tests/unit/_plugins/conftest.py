"""Plugins that are installed for a test only."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


class Point:
    """An entry point."""

    def __init__(self, name, thing, distribution=None, version="1.0"):
        self.name = name
        self.value = f"{name}_module"
        self.dist = SimpleNamespace(name=distribution or f"dist-{name}", version=version)
        self.loaded = 0
        self._thing = thing

    def load(self):
        """Import it; an error is raised."""
        self.loaded += 1
        if isinstance(self._thing, BaseException):
            raise self._thing
        return self._thing


@pytest.fixture
def install(monkeypatch):
    """Return what installs plugins by name, in place of those that really are."""

    def installed(**things):
        points = tuple(
            thing if isinstance(thing, Point) else Point(name, thing)
            for name, thing in sorted(things.items())
        )
        monkeypatch.setattr("agentperf._plugins.discovery._scan", lambda: points)
        return points

    monkeypatch.delenv("AGENTPERF_LOAD_PLUGINS", raising=False)
    monkeypatch.delenv("AGENTPERF_DISABLE_PLUGINS", raising=False)
    installed()
    return installed
