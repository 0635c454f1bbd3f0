"""The classes that a process knows: only instances of these are ever made."""

from __future__ import annotations

import sys
import threading
from typing import Any

from agentperf.codec import pydantic_models, records
from agentperf.codec.records import Record
from agentperf.errors import ConfigurationError

TRUSTED = ("openai.types.",)
"""Packages whose models are known without being registered, once they are loaded.

A function's first call in a fresh process should find what other processes have stored, though
nobody wrote its return type down. For these packages that is safe: the stored name only chooses
among the data models of modules that the program itself has imported, nothing is imported for
it, no attribute is computed, and the schema must be the same. A table of prefixes in the code
can't be widened by whoever writes to the store.
"""


class Registry:
    """Classes by themselves, for writing, and by their tags, for reading.

    A class becomes known by being registered, or by one of its instances being written. Of two
    classes of one name and schema, such as a notebook's cell makes when it is run again, the one
    seen last is known.

    Args:
        above: Another registry whose classes are known here too.
    """

    def __init__(self, above: Registry | None = None) -> None:
        self._above = above
        self._lock = threading.Lock()
        self._by_class: dict[type, Record | None] = {}
        self._by_tag: dict[str, Record] = {}

    def register(self, kind: Any) -> None:
        """Make a class known.

        Raises:
            ConfigurationError: It is no class, or of no sort whose instances can be stored.
        """
        if not isinstance(kind, type) or self.for_writing(kind) is None:
            raise ConfigurationError(
                f"register: {kind!r} is no class that can be stored; dataclasses, attrs classes, "
                "named tuples, enums, msgspec Structs and pydantic models can, as in "
                "@dataclass class Answer: ..."
            )

    def for_writing(self, kind: type) -> Record | None:
        """Say how instances of a class are written; the class is known from then on."""
        try:
            return self._by_class[kind]
        except KeyError:
            return self._learned(kind)

    def for_reading(self, tag: str) -> Record | None:
        """Find the known class that has this tag."""
        found = self._by_tag.get(tag)
        if found is None and self._above is not None:
            found = self._above.for_reading(tag)
        return found or self._trusted(tag)

    def _learned(self, kind: type) -> Record | None:
        record = pydantic_models.recognised(kind) or records.recognised(kind)
        with self._lock:
            if record is not None:
                previous = self._by_tag.get(record.tag)
                if previous is not None:
                    self._by_class.pop(previous.kind, None)
                self._by_tag[record.tag] = record
            self._by_class[kind] = record
        return record

    def _trusted(self, tag: str) -> Record | None:
        if not tag.startswith(TRUSTED):
            return None
        module, _, rest = tag.partition(":")
        found: Any = sys.modules.get(module)
        for part in rest.rpartition("#")[0].split("."):
            # Not getattr: a module's `__getattr__` may import, a class's may compute.
            found = vars(found).get(part) if hasattr(found, "__dict__") else None
        if not isinstance(found, type) or found.__module__ != module:
            return None
        record = pydantic_models.recognised(found)
        return self.for_writing(found) if record is not None and record.tag == tag else None
