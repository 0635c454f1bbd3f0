"""Settings of a host."""

from __future__ import annotations

import pytest

from agentperf import ConfigurationError
from agentperf.config import Settings


@pytest.mark.parametrize("text", ["1", "true", "YES", " on "])
def test_switched_off_from_outside(text):
    """By what people write for yes."""
    assert not Settings.from_environment({"AGENTPERF_DISABLED": text}).enabled


@pytest.mark.parametrize("environment", [{}, *({"AGENTPERF_DISABLED": t} for t in ("", "0", "No"))])
def test_switched_on(environment):
    """By default, and by what people write for no."""
    assert Settings.from_environment(environment).enabled


@pytest.mark.parametrize("text", ["2", "maybe", "y"])
def test_neither_yes_nor_no(text):
    """A typing error doesn't switch anything."""
    with pytest.raises(ConfigurationError, match="use AGENTPERF_DISABLED=1 or 0"):
        Settings.from_environment({"AGENTPERF_DISABLED": text})


def test_the_environment_of_the_process(monkeypatch):
    """Is read when a host is made, not when we are imported."""
    monkeypatch.setenv("AGENTPERF_DISABLED", "1")
    assert not Settings.from_environment().enabled


def test_changed_settings_are_new_ones():
    """The old ones stay as they were."""
    settings = Settings()
    assert not settings.changed(enabled=False).enabled
    assert settings.enabled
    assert settings.changed() == settings


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"enable": True}, "did you mean 'enabled'"),
        ({"colour": True}, "known: enabled"),
        ({"enabled": 1}, "enabled=1: True or False, as in enabled=False"),
        ({"enabled": "no"}, "True or False"),
    ],
)
def test_bad_changes(changes, hint):
    """They name the setting and show a good example."""
    with pytest.raises(ConfigurationError, match=hint):
        Settings().changed(**changes)
