"""Tags of classes: a name and a hash of the schema, the same in every process of one deploy."""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

from agentperf._base.keys.names import module_name

_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def tag_of(kind: type, shape: str, fields: Iterable[tuple[str, object]]) -> str:
    """Name a class and its schema, as in `app.models:Answer#4b0e8a51c2d7f396`.

    A deploy that adds, drops, renames, reorders or retypes a field changes the tag, and what was
    stored before becomes a miss.

    Args:
        kind: The class.
        shape: What sort of class it is, such as `dataclass`.
        fields: Its fields' names, each with its annotation or whatever else says what it holds.
    """
    schema = "\n".join([shape, *(f"{name}: {_text(said)}" for name, said in fields)])
    digest = blake2b(schema.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    return f"{module_name(kind)}:{kind.__qualname__}#{digest}"


def _text(said: object) -> str:
    """Write an annotation down without what differs between processes."""
    if isinstance(said, str):
        return said
    if isinstance(said, type) and type(said).__repr__ is type.__repr__:
        # A generic alias such as `list[int]` passes for a type but says more in its own words.
        return (
            repr(said)
            if hasattr(said, "__origin__")
            else f"{module_name(said)}.{said.__qualname__}"
        )
    return _ADDRESS.sub("", repr(said))
