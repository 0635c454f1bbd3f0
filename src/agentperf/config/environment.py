"""Settings from the environment: `AGENTPERF_*`."""

from __future__ import annotations

from collections.abc import Mapping

from agentperf.config.complaints import Path, suggestion
from agentperf.config.settings import as_switch
from agentperf.errors import ConfigurationError

PREFIX = "AGENTPERF_"
CONFIG = "AGENTPERF_CONFIG"
DISABLED = "AGENTPERF_DISABLED"
ENABLED = "AGENTPERF_ENABLED"
LISTS = {
    "AGENTPERF_EXPORTERS": "exporters",
    "AGENTPERF_SUBSCRIBERS": "subscribers",
    "AGENTPERF_CLASSIFIERS": "classifiers",
    "AGENTPERF_CACHE_SECRET": "cache_secret",
}
"""Variables that hold one or several with commas between them, and the settings they make."""
_READ_ELSEWHERE = (
    CONFIG,
    "AGENTPERF_HOME",
    "AGENTPERF_VOCABULARY_DIR",
    "AGENTPERF_LOAD_PLUGINS",
    "AGENTPERF_DISABLE_PLUGINS",
)
"""The parts that need them ask for them."""


class Environment:
    """The settings that variables make; an empty variable is as good as none.

    Raises:
        ConfigurationError: A variable is unknown, or holds something else than a yes or no.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        switches: dict[str, bool] = {}
        self.values: dict[str, object] = {}
        self._from: dict[str, str] = {}
        for name, text in variables.items():
            if not name.startswith(PREFIX) or name in _READ_ELSEWHERE or not text.strip():
                continue
            if (setting := LISTS.get(name)) is not None:
                self.values[setting] = text
                self._from[setting] = name
                continue
            said = _switch(name, text)
            switches[name] = not said if name == DISABLED else said
        if switches:  # Whichever says no has the last word.
            deciding = min(switches, key=lambda name: (switches[name], name))
            self.values["enabled"] = switches[deciding]
            self._from["enabled"] = deciding

    def where(self, path: Path) -> str:
        """Name the variable."""
        return self._from[path[0]]


def _switch(name: str, text: str) -> bool:
    if name.startswith(f"{PREFIX}POLICIES"):
        raise ConfigurationError(f"{name}: policies are configured in a file or by configure()")
    if name not in (ENABLED, DISABLED):
        # All are alike to begin with.
        known = suggestion(name, (ENABLED, DISABLED, *LISTS, *_READ_ELSEWHERE), likeness=0.85)
        raise ConfigurationError(f"{name}: no such variable{known}")
    if (switch := as_switch(text)) is None:
        raise ConfigurationError(f"{name}={text!r}: use {name}=1 or 0")
    return switch
