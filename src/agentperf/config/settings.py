"""Settings of a host."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from agentperf.errors import ConfigurationError

_TRUE = {"1", "true", "yes", "on"}
_FALSE = {"", "0", "false", "no", "off"}


@dataclass(frozen=True, slots=True)
class Settings:
    """What can be set for a whole host.

    Attributes:
        enabled: False turns every decorated function into a plain call of itself.
    """

    enabled: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Settings:
        """Read the `AGENTPERF_*` variables: `AGENTPERF_DISABLED=1` turns everything off.

        Raises:
            ConfigurationError: A variable holds something else than a yes or no.
        """
        text = environment.get("AGENTPERF_DISABLED", "").strip().lower()
        if text not in _TRUE | _FALSE:
            raise ConfigurationError(f"AGENTPERF_DISABLED={text!r}: use AGENTPERF_DISABLED=1 or 0")
        return cls(enabled=text not in _TRUE)

    def changed(self, **changes: object) -> Settings:
        """Return settings with some values changed.

        Raises:
            ConfigurationError: A name is unknown or a value is of the wrong kind.
        """
        known = {field.name: field for field in fields(self)}
        for name, value in changes.items():
            if name not in known:
                close = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(known)}"
                raise ConfigurationError(f"configure({name}=...): no such setting{hint}")
            if not isinstance(value, bool):
                raise ConfigurationError(f"{name}={value!r}: True or False, as in {name}=False")
        return replace(self, **changes)  # type: ignore[arg-type]  # checked above
