"""What the agent remembers: facts, conversations and their analyses, in a SQLite database."""

from __future__ import annotations

import contextlib
import json
import math
import sqlite3
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

import anyio

from agentperf.demo.conversations import Message

T = TypeVar("T")

_SCHEMA = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS facts (
    id INTEGER PRIMARY KEY, profile TEXT NOT NULL, text TEXT NOT NULL, vector BLOB NOT NULL,
    UNIQUE (profile, text)
);
CREATE TABLE IF NOT EXISTS marks (
    fact INTEGER NOT NULL REFERENCES facts (id), kind TEXT NOT NULL, value TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS marks_by_value ON marks (kind, value);
CREATE TABLE IF NOT EXISTS turns (
    id INTEGER PRIMARY KEY, profile TEXT NOT NULL, session TEXT NOT NULL,
    question TEXT NOT NULL, answer TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS analyses (
    profile TEXT NOT NULL, session TEXT NOT NULL, body TEXT NOT NULL, UNIQUE (profile, session)
);
"""
_NEAREST = 3
_NEAR_ENOUGH = 0.35
_LATEST = 2


class Fact(NamedTuple):
    """A remembered fact; a higher number is a newer one."""

    id: int
    text: str


@dataclass(frozen=True, slots=True)
class NewFact:
    """A fact to be remembered.

    Attributes:
        text: The fact, in a sentence.
        names: People, places and things it is about.
        times: Words that say when.
    """

    text: str
    names: tuple[str, ...] = ()
    times: tuple[str, ...] = ()

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Self:
        """Take the model's word for it."""
        return cls(said["text"], tuple(said["names"]), tuple(said["times"]))


class Memory:
    """The memory of all profiles in one database file.

    SQLite blocks, so each operation runs in a worker thread, on a connection of its own: nothing is
    shared between threads, and readers don't wait for a writer (write-ahead log).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._connection() as database:
            database.executescript(_SCHEMA)

    async def semantic(self, profile: str, vector: Sequence[float]) -> list[Fact]:
        """Find the facts whose embedding is nearest."""

        def search(database: sqlite3.Connection) -> list[Fact]:
            query = "SELECT id, text, vector FROM facts WHERE profile = ?"
            rows = database.execute(query, [profile])
            near = ((_closeness(vector, packed), Fact(key, text)) for key, text, packed in rows)
            best = sorted((entry for entry in near if entry[0] >= _NEAR_ENOUGH), reverse=True)
            return [fact for _, fact in best[:_NEAREST]]

        return await self._run(search)

    async def keyword(self, profile: str, keywords: Sequence[str]) -> list[Fact]:
        """Find the facts in which a keyword stands."""
        anywhere = " OR ".join("text LIKE ?" for _ in keywords) or "FALSE"
        query = f"SELECT id, text FROM facts WHERE profile = ? AND ({anywhere})"  # noqa: S608 - "?"
        return await self._facts(query, profile, *(f"%{word}%" for word in keywords))

    async def temporal(self, profile: str, times: Sequence[str], *, lately: bool) -> list[Fact]:
        """Find the facts about a day or a month, or the latest when somebody asks for those."""
        if lately:
            query = "SELECT id, text FROM facts WHERE profile = ? ORDER BY id DESC LIMIT ?"
            return await self._facts(query, profile, _LATEST)
        return await self._marked(profile, "time", times)

    async def entity(self, profile: str, names: Sequence[str]) -> list[Fact]:
        """Find the facts about a person, a place or a thing."""
        return await self._marked(profile, "name", names)

    async def add(self, profile: str, fact: NewFact, vector: Sequence[float]) -> None:
        """Remember a fact; one that is known already is remembered as new."""
        marks = [("name", name) for name in fact.names] + [("time", time) for time in fact.times]

        def write(database: sqlite3.Connection) -> None:
            cursor = database.execute(
                "REPLACE INTO facts (profile, text, vector) VALUES (?, ?, ?)",
                [profile, fact.text, array("f", vector).tobytes()],
            )
            rows = [(cursor.lastrowid, kind, value) for kind, value in marks]
            database.executemany("INSERT INTO marks VALUES (?, ?, ?)", rows)

        await self._run(write)

    async def add_turn(self, message: Message, answer: str) -> None:
        """Write down what was said."""
        turn = [message.profile, message.session, message.text, answer]
        query = "INSERT INTO turns (profile, session, question, answer) VALUES (?, ?, ?, ?)"
        await self._run(lambda database: database.execute(query, turn))

    async def conversation(self, message: Message) -> str:
        """Return what was said in this message's conversation, as a transcript."""
        query = "SELECT question, answer FROM turns WHERE profile = ? AND session = ? ORDER BY id"
        where = [message.profile, message.session]
        turns = await self._run(lambda database: database.execute(query, where).fetchall())
        return "\n".join(f"User: {asked}\nAssistant: {said}" for asked, said in turns)

    async def add_analysis(self, message: Message, analysis: object) -> None:
        """Keep the analysis of this message's conversation, in place of an earlier one."""
        row = [message.profile, message.session, json.dumps(analysis)]
        query = "REPLACE INTO analyses VALUES (?, ?, ?)"
        await self._run(lambda database: database.execute(query, row))

    async def everything(self, profile: str) -> list[str]:
        """Return all facts of a profile, oldest first."""
        query = "SELECT id, text FROM facts WHERE profile = ? ORDER BY id"
        return [fact.text for fact in await self._facts(query, profile)]

    async def _marked(self, profile: str, kind: str, values: Sequence[str]) -> list[Fact]:
        holes = ", ".join("?" for _ in values)
        query = (
            "SELECT DISTINCT id, text FROM facts JOIN marks ON fact = id"  # noqa: S608 - only "?"
            f" WHERE profile = ? AND kind = ? AND value IN ({holes})"
        )
        return await self._facts(query, profile, kind, *values)

    async def _facts(self, query: str, *values: str | int) -> list[Fact]:
        def search(database: sqlite3.Connection) -> list[Fact]:
            return [Fact(*row) for row in database.execute(query, values)]

        return await self._run(search)

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def in_thread() -> T:
            with self._connection() as database:
                return work(database)

        return await anyio.to_thread.run_sync(in_thread)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(self._path, timeout=30)) as database, database:
            yield database


def _closeness(one: Sequence[float], packed: bytes) -> float:
    other = array("f", packed)
    length = math.hypot(*one) * math.hypot(*other)
    return sum(a * b for a, b in zip(one, other, strict=True)) / length if length else 0.0
