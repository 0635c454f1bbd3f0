"""Opens a file of caches or limits: makes it, knows it again, and leaves what isn't ours alone."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from agentperf._base.log import warn
from agentperf.errors import BackendError

WAIT = 0.2
"""Seconds to wait for another writer before giving up, where nothing else is said."""

PAGE = 4096
"""Bytes of a page, the unit in which a file grows."""

_OURS = 0x61706331
_VERSION = 1
_SCHEMA = f"""
CREATE TABLE entries (
    key TEXT PRIMARY KEY NOT NULL,
    value BLOB NOT NULL,
    stored REAL NOT NULL,
    expires REAL,
    used INTEGER NOT NULL
);
CREATE INDEX by_expiry ON entries (expires) WHERE expires IS NOT NULL;
CREATE INDEX by_use ON entries (used);
PRAGMA application_id = {_OURS};
PRAGMA user_version = {_VERSION};
"""
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)

_opening = threading.RLock()
"""Held while a file is made or moved: closing a descriptor of a database that another thread has
open would take that thread's locks away (https://www.sqlite.org/howtocorrupt.html, 2.2)."""

Identity = tuple[int, int]


def identity(path: Path) -> Identity | None:
    """Tell which file a path leads to; None where there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - on the path of every call, and half the time
    except OSError:
        return None
    return found.st_dev, found.st_ino


def is_damaged(error: BaseException) -> bool:
    """Whether an error says that the file can't be read as a database."""
    return _code(error) in _DAMAGED


def is_busy(error: BaseException) -> bool:
    """Whether an error says that another writer was in the way for too long."""
    return _code(error) in _BUSY


def _code(error: BaseException) -> int | None:
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def open_file(path: Path, wait: float = WAIT) -> tuple[sqlite3.Connection, Identity | None]:
    """Open the cache in a file, which is made where there is none.

    A damaged cache is moved aside, and a new one begun in its place.

    Args:
        path: The file.
        wait: Seconds for which the connection waits for another writer.

    Returns:
        The connection, in no transaction, for one thread at a time; and which file it is.

    Raises:
        BackendError: The file is something else than a cache of this version.
        OSError: It can't be made or reached.
        sqlite3.Error: The same, as SQLite says it.
    """
    with _opening:
        for _ in range(3):
            if identity(path) is None:
                _make(path)
            with _nobody_moves(path.parent):
                before = identity(path)
                try:
                    return _opened(path, wait), before
                except sqlite3.DatabaseError as error:
                    if not is_damaged(error):
                        raise
                    if not _was_ours(path):
                        raise _foreign(path) from error
            move_aside(path, before)
    raise BackendError(f"{path} can't be opened: it is damaged again and again")


def move_aside(path: Path, damaged: Identity | None) -> None:
    """Rename a damaged cache to `NAME.corrupt-N`, unless somebody did already.

    Args:
        path: The file.
        damaged: Which file was found damaged.
    """
    with _opening, _nobody_moves(path.parent, alone=True):
        if damaged is None or identity(path) != damaged:
            return
        number = 1
        while (aside := path.with_name(f"{path.name}.corrupt-{number}")).exists():
            number += 1
        # Before anybody can make a new file: its log must not be taken for one of these.
        for end in ("-wal", "-shm", ""):
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{end}").rename(f"{aside}{end}")
    warn("cache.damaged_file_moved_aside", path=path, to=aside.name)


def _make(path: Path) -> None:
    """Make an empty file that only its owner can read; SQLite gives its log the same mode."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _nobody_moves(path.parent, alone=True):
        if identity(path) is None:
            for end in ("-wal", "-shm"):  # of a file that somebody deleted and may still use
                Path(f"{path}{end}").unlink(missing_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _opened(path: Path, wait: float) -> sqlite3.Connection:
    # Several threads use it, one after another.
    connection = sqlite3.connect(path, wait, isolation_level=None, check_same_thread=False)
    try:
        if _is_empty(connection, path):
            _fill(connection, path)
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA secure_delete = FAST")
        connection.execute("PRAGMA journal_size_limit = 4000000")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_empty(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether nobody has written into a database yet.

    Raises:
        BackendError: Somebody else has, or another version.
    """
    (ours,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if ours != _OURS:
        if ours or version or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            # Another process may have made the tables between these looks.
            if connection.execute("PRAGMA application_id").fetchone() == (_OURS,):
                return _is_empty(connection, path)
            raise _foreign(path)
        return True
    if version != _VERSION:
        raise BackendError(
            f"{path} was written by another version of agentperf (its format is {version}, here "
            f"it is {_VERSION}): upgrade agentperf here, or name another file"
        )
    return False


def _fill(connection: sqlite3.Connection, path: Path) -> None:
    """Make the tables, unless another process comes first."""
    connection.execute(f"PRAGMA page_size = {PAGE}")
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
    _switch_to_log(connection)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if _is_empty(connection, path):
            for statement in filter(str.strip, _SCHEMA.split(";")):
                connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _switch_to_log(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite doesn't wait by itself where two do so at once."""
    until = time.monotonic() + WAIT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not is_busy(error) or time.monotonic() > until:
                raise
            time.sleep(0.005)


def _foreign(path: Path) -> BackendError:
    return BackendError(
        f"{path} is no file of agentperf's and was left as it is: name one of its own, such as "
        f'"sqlite:{path.with_name("agentperf.db")}"'
    )


def _was_ours(path: Path) -> bool:
    """Whether what SQLite can't read was a cache once: our mark is there, or all is zero."""
    with path.open("rb") as file:
        head = file.read(100)
    return head[68:72] == _OURS.to_bytes(4, "big") or not any(head)


@contextlib.contextmanager
def _nobody_moves(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Keep the files in a folder where they are, or be alone in moving them; on POSIX systems.

    Elsewhere an open file can't be moved. Where the folder can't be locked, nothing is kept:
    all that can happen then is that two processes find the same damage at the same moment.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        until = time.monotonic() + WAIT
        while True:
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    break
                time.sleep(0.002)
        yield
    finally:
        os.close(descriptor)
