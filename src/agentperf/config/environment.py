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
_READ_ELSEWHERE = (CONFIG, "AGENTPERF_HOME", "AGENTPERF_VOCABULARY_DIR")
"""They say where files are; the parts that need them ask for them."""


class Environment:
    """The settings that variables make; an empty variable is as good as none.

    Raises:
        ConfigurationError: A variable is unknown, or holds something else than a yes or no.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        switches: dict[str, bool] = {}
        for name, text in variables.items():
            if name.startswith(PREFIX) and name not in _READ_ELSEWHERE and text.strip():
                said = _switch(name, text)
                switches[name] = not said if name == DISABLED else said
        self.values: dict[str, object] = {}
        if switches:  # Whichever says no has the last word.
            self._deciding = min(switches, key=lambda name: (switches[name], name))
            self.values["enabled"] = switches[self._deciding]

    def where(self, path: Path) -> str:
        """Name the variable."""
        return self._deciding


def _switch(name: str, text: str) -> bool:
    if name.startswith(f"{PREFIX}POLICIES"):
        raise ConfigurationError(f"{name}: policies are configured in a file or by configure()")
    if name not in (ENABLED, DISABLED):
        # All are alike to begin with.
        known = suggestion(name, (ENABLED, DISABLED, *_READ_ELSEWHERE), likeness=0.85)
        raise ConfigurationError(f"{name}: no such variable{known}")
    if (switch := as_switch(text)) is None:
        raise ConfigurationError(f"{name}={text!r}: use {name}=1 or 0")
    return switch
