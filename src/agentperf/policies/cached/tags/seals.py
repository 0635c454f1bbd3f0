"""What ties an entry in a backend to the versions that its tags had when it was computed.

An entry is sealed with the versions that its tags had when its computation began; it is good while
they are still there. Whoever invalidates a tag puts another version in place, whatever the number
of entries. A version that got lost voids what was made under it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from agentperf.policies.cached.backed.reach import Reach
from agentperf.policies.cached.tags.versions import (
    LIFETIME,
    PREFIX,
    SIZE,
    Versions,
    date_of,
    marker_key,
    new_version,
)

SKEW = 5.0
"""Seconds that the clocks of processes which share a backend may differ by."""

_SEAL = b"#"
_DIGITS = 20


class Stamp(NamedTuple):
    """What was known of versions when a computation began.

    Attributes:
        versions: Those of the tags of the call.
        others: Those of tags that an earlier answer had: this one may turn out to have them too.
    """

    versions: Versions
    others: Versions


class Found(NamedTuple):
    """What stands in a backend under a key.

    Attributes:
        data: The entry without its seal; None where there is none that is good.
        versions: Those that were looked up on the way.
        void: Whether there was an entry with another version of a tag.
    """

    data: bytes | None
    versions: Versions
    void: bool = False


def sealed(versions: Versions, data: bytes) -> bytes:
    """Put a seal on an entry; one without tags has none."""
    if not versions:
        return data
    parts = [bytes.fromhex(key[len(PREFIX) :]) + version for key, version in versions.items()]
    return b"".join((_SEAL, len(parts).to_bytes(1, "big"), *parts, data))


def opened(data: bytes) -> tuple[Versions, bytes]:
    """Take off the seal."""
    if data[:1] != _SEAL or len(data) < 2:
        return {}, data
    size = _DIGITS + SIZE
    end = 2 + data[1] * size
    versions = {
        PREFIX + data[at : at + _DIGITS].hex(): data[at + _DIGITS : at + size]
        for at in range(2, end, size)
    }
    return versions, data[end:]


async def look(reach: Reach, key: str, tags: Iterable[str] = ()) -> Found:
    """Look for an entry: in one round trip if its tags are among `tags`."""
    markers = [marker_key(tag) for tag in tags]
    if markers:
        present = await reach.get_many([key, *markers])
        data = present.pop(key, None)
    else:
        present, data = {}, await reach.get(key)
    if data is None:
        return Found(None, present)
    under, data = opened(data)
    if others := [marker for marker in under if marker not in markers]:
        present |= await reach.get_many(others)
    if any(present.get(marker) != version for marker, version in under.items()):
        return Found(None, present, void=True)
    return Found(data, present)


async def look_all(reach: Reach, tags: Mapping[str, Iterable[str]]) -> dict[str, Found]:
    """Look for several entries, each with its tags: in one round trip as `look` does for one."""
    markers = {marker_key(tag) for each in tags.values() for tag in each}
    present = await reach.get_many([*tags, *markers])
    entries = {key: opened(data) for key in tags if (data := present.pop(key, None)) is not None}
    if others := {marker for under, _ in entries.values() for marker in under} - markers:
        present |= await reach.get_many(list(others))
    found: dict[str, Found] = {}
    for key in tags:
        under, data = entries.get(key, ({}, None))
        void = any(present.get(marker) != version for marker, version in under.items())
        found[key] = Found(None if void else data, present, void)
    return found


async def present(reach: Reach, tags: Iterable[str]) -> Versions:
    """Return the versions of those tags that have one."""
    markers = [marker_key(tag) for tag in tags]
    return await reach.get_many(markers) if markers else {}


async def settled(reach: Reach, tags: Iterable[str], known: Versions) -> Versions:
    """Return the versions of all tags, with new ones for those that have none."""
    versions: Versions = {}
    for tag in tags:
        marker = marker_key(tag)
        if (version := known.get(marker)) is None:
            version = await _added(reach, marker)
        versions[marker] = version
    return versions


async def stamped(reach: Reach, tags: Iterable[str], known: Versions | None) -> Stamp:
    """Return the stamp of a computation that begins now, from what a look has seen already."""
    known = await present(reach, tags) if known is None else known
    versions = await settled(reach, tags, known)
    return Stamp(versions, {key: known[key] for key in known.keys() - versions.keys()})


async def completed(
    reach: Reach, stamp: Stamp, named: Iterable[str], began: float
) -> Versions | None:
    """Return the versions to seal an answer with: its call's, and those of tags named under way.

    What was known when the computation began is taken from there. Of other tags, the version of
    now is that of then unless somebody invalidated since, or shortly before as clocks go.

    Args:
        reach: The backend.
        stamp: What was known when it began.
        named: The tags that were named under way.
        began: When it began, in seconds since the epoch.

    Returns:
        The versions; None where one of the tags may have been invalidated since it began.
    """
    versions = dict(stamp.versions)
    if not named:
        return versions
    known = stamp.others | stamp.versions
    new = [tag for tag in named if marker_key(tag) not in known]
    for marker, version in (await settled(reach, new, await present(reach, new))).items():
        if date_of(version) > began - SKEW:
            return None
        versions[marker] = version
    return versions | {key: known[key] for key in map(marker_key, named) if key in known}


async def _added(reach: Reach, marker: str) -> bytes:
    version = new_version()
    if await reach.add(marker, version, LIFETIME):
        return version
    # Somebody else was quicker. Should theirs be lost again, ours was never there: a miss.
    return await reach.get(marker) or version
