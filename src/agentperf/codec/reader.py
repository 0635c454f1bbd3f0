"""Reading: msgpack becomes the value again, an extension at a time, and nothing but known kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.msgpack import decode

from agentperf.codec import arrays
from agentperf.codec.kinds import Code, Kind, checked
from agentperf.codec.nesting import refuse_deep
from agentperf.codec.plain import BY_CODE
from agentperf.codec.records import Record
from agentperf.codec.writer import DEEPEST

_KINDS: Mapping[int, Kind] = {
    **BY_CODE,
    Code.ARRAY: arrays.ARRAY,
    Code.SCALAR: arrays.SCALAR,
}


_DEEPEST_NATIVE = 2 * DEEPEST
"""Lists and dicts inside one another, between two extensions; what is written has fewer."""


class Reader:
    """Reads one value.

    Args:
        records: The classes of its records, in the order of their numbers.
    """

    def __init__(self, records: list[Record]) -> None:
        self._records = records
        self._depth = 0

    def read(self, data: bytes) -> Any:
        """Read a value.

        Raises:
            Exception: Whatever is wrong with the data; none of it comes from code that the data
                names.
        """
        refuse_deep(data, _DEEPEST_NATIVE)
        return decode(data, ext_hook=self._extension)

    def _extension(self, code: int, data: memoryview) -> Any:
        if self._depth > DEEPEST:
            raise ValueError(f"nested more than {DEEPEST} deep")
        self._depth += 1
        parts = self.read(bytes(data))
        self._depth -= 1
        if type(parts) is not list:
            raise TypeError("the parts of a value are no list")
        if code == Code.RECORD:
            return self._records[parts.pop(0)].make(parts)
        if code == Code.TABLE:
            make = self._records[parts.pop(0)].make
            return [make(row) for row in zip(*(checked(part, list) for part in parts), strict=True)]
        return _KINDS[code].make(parts)
