"""What is known of plugins, as values: where they come from, what they offer, what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from agentperf.abc.kinds import Kind

State = Literal["loaded", "failed", "disabled"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a plugin comes from.

    Attributes:
        plugin: Its name: that of its entry point, or the one it was registered under.
        distribution: What was installed, with its version; empty for a plugin that the program
            registered itself.
        target: The module or object that the entry point names.
    """

    plugin: str
    distribution: str = ""
    target: str = ""

    def __str__(self) -> str:
        return f"{self.plugin!r} ({self.distribution})" if self.distribution else repr(self.plugin)


@dataclass(frozen=True, slots=True)
class Offer:
    """One thing that a plugin offers.

    Attributes:
        kind: What it is.
        name: What it is asked for by.
        origin: Whose it is.
        value: What makes it; for a price, the price itself.
    """

    kind: Kind
    name: str
    origin: Origin
    value: Any

    def __str__(self) -> str:
        return f"the {self.kind.singular} {self.name!r} of the plugin {self.origin}"


@dataclass(frozen=True, slots=True)
class Listed:
    """A plugin as `agentperf plugins` shows it.

    Attributes:
        origin: Where it comes from.
        state: `"loaded"`, `"failed"`, or `"disabled"` by the environment.
        reason: Why it failed; empty where it didn't.
        offers: The names of what it offers, by kind.
    """

    origin: Origin
    state: State
    reason: str = ""
    offers: Mapping[Kind, Sequence[str]] = field(default_factory=dict)
