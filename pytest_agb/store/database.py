"""The run's state on this host: SQLite in WAL mode, shared by all processes of the run.

`sqlite3 slots.sqlite3` shows a person what is going on. No table holds a secret.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pytest_agb.client import AGBError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

#: Seconds to wait for another process's transaction, which takes milliseconds.
_BUSY_SECONDS = 30.0

#: Of the schema: another version of this plugin may have left a run behind.
_VERSION = 6

#: All tables.
SCHEMA = """
CREATE TABLE IF NOT EXISTS slots (
    slot TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    spec TEXT NOT NULL,
    member TEXT NOT NULL,
    user TEXT NOT NULL DEFAULT '',
    session_id TEXT,
    request_id TEXT NOT NULL DEFAULT '',
    idle_timeout INTEGER NOT NULL,
    created_at REAL NOT NULL,
    expires_at REAL NOT NULL,
    ahead REAL NOT NULL DEFAULT 0,
    answered_at REAL NOT NULL DEFAULT 0,
    idle_since REAL NOT NULL DEFAULT 0,
    leased_at REAL NOT NULL DEFAULT 0,
    held REAL NOT NULL DEFAULT 0,
    uses INTEGER NOT NULL DEFAULT 0,
    accepted INTEGER NOT NULL DEFAULT 0,
    trouble TEXT NOT NULL DEFAULT '',
    note TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS slots_left ON slots (state) WHERE state NOT IN ('gone', 'kept');
CREATE INDEX IF NOT EXISTS slots_kept ON slots (state) WHERE state = 'kept';
CREATE UNIQUE INDEX IF NOT EXISTS slots_held ON slots (session_id)
    WHERE session_id IS NOT NULL AND state <> 'gone';
CREATE INDEX IF NOT EXISTS slots_had ON slots (session_id) WHERE session_id IS NOT NULL;
CREATE TABLE IF NOT EXISTS wants (
    want INTEGER PRIMARY KEY AUTOINCREMENT,
    spec TEXT NOT NULL,
    member TEXT NOT NULL,
    user TEXT NOT NULL,
    error TEXT
);
CREATE TABLE IF NOT EXISTS units (
    unit TEXT PRIMARY KEY,
    spec TEXT,
    position INTEGER NOT NULL DEFAULT 0,
    soon INTEGER NOT NULL DEFAULT 0,
    done INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS units_to_come ON units (soon DESC, position) WHERE done = 0 AND spec IS NOT NULL;
CREATE TABLE IF NOT EXISTS refusals (
    scope TEXT NOT NULL,
    image TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (scope, image)
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS history (
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    user TEXT NOT NULL,
    at REAL NOT NULL DEFAULT ((julianday('now') - 2440587.5) * 86400.0)
);
CREATE TRIGGER IF NOT EXISTS slot_moves AFTER UPDATE OF state ON slots WHEN OLD.state <> NEW.state BEGIN
    INSERT INTO history (kind, name, state, user) VALUES ('slot', NEW.slot, NEW.state, NEW.user);
END;
CREATE TRIGGER IF NOT EXISTS want_begins AFTER INSERT ON wants BEGIN
    INSERT INTO history (kind, name, state, user) VALUES ('want', NEW.want, 'waits', NEW.user);
END;
CREATE TRIGGER IF NOT EXISTS want_ends AFTER DELETE ON wants BEGIN
    INSERT INTO history (kind, name, state, user) VALUES ('want', OLD.want, 'over', OLD.user);
END;
"""

#: What to do, by what SQLite says.
_REMEDIES = (
    (("full", "disk I/O"), "Free space on its disk, or set TMPDIR to a directory on another one"),
    (
        ("readonly", "unable to open"),
        "Let this user write to it and to its directory, or set TMPDIR to another one",
    ),
    (("locked",), "End whatever else has it open, then start the run again"),
)


class StateError(AGBError):
    """The run's state can't be read or written. The message names the file, the hint says what to do."""


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    """Tell what is wrong with the file at ``path`` as a `StateError`."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # a rule of the tables, or a mistake of ours: nothing is wrong with the file
    except sqlite3.Error as error:
        words = str(error)
        damaged = f"It is damaged: delete what is left by pytest-agb sweep --run {path.parent.name}"
        hints = (hint for signs, hint in _REMEDIES if any(sign in words for sign in signs))
        raise StateError(
            f"the run's state in {path} can't be used: {words}", hint=next(hints, damaged)
        ) from error


def lay_schema(path: Path) -> None:
    """Create the tables and switch to WAL mode, which no two processes can at once ("database is locked").

    Raises:
        StateError: the file can't be used.
    """
    with _telling(path), FileLock(path.with_suffix(".lock")):
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.executescript(SCHEMA)
            connection.execute(f"PRAGMA user_version = {_VERSION}")
        finally:
            connection.close()


def of_this_version(path: Path) -> bool:
    """Whether the tables at ``path`` were laid by this version of the plugin, and wholly.

    Raises:
        StateError: the file can't be opened.
    """
    with _telling(path):
        connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        return bool(connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION)
    except sqlite3.DatabaseError:  # not a database
        return False
    finally:
        connection.close()


class Database:
    """One process's connection. It belongs to that process; a fork opens its own.

    All that reads or writes raises a `StateError` if the file can't be used. A transaction is undone then.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        # A connection has one transaction, and a test may use sessions from several threads.
        self._lock = threading.Lock()
        with _telling(path):
            self._connection = sqlite3.connect(
                path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            # Whole after a power cut, though without the last writes: sessions have labels and idle timeouts.
            try:
                self._connection.execute("PRAGMA synchronous = NORMAL")
            except sqlite3.Error:  # somebody is removing the file
                self._connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def _replace(self, connection: sqlite3.Connection) -> None:
        """Go on with another connection."""
        with suppress(sqlite3.Error):  # the file is in no good state
            self._connection.close()
        self._connection = connection

    def version(self) -> int:
        """Changes whenever another process has written."""
        ((version,),) = self.fetch("PRAGMA data_version")
        return int(version)

    def changes(self) -> int:
        """Changes whenever this process has written."""
        return self._connection.total_changes

    def fetch(self, query: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        """Read outside of a transaction."""
        with self._lock, _telling(self._path):
            return self._connection.execute(query, values).fetchall()

    def write(self, statement: str, values: Sequence[object] = ()) -> int:
        """Run one statement in a transaction of its own; return how many rows it changed."""
        with self.transaction() as connection:
            return connection.execute(statement, values).rowcount

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Read and write as one; other processes' transactions wait."""
        with self._lock, _telling(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk makes SQLite undo it by itself
                    self._connection.execute("ROLLBACK")
                raise
