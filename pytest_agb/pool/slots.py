"""The slots of a run: one row for each session that a fixture intended, in SQLite.

::

    creating ──▶ leased ──▶ deleting ──▶ gone
        │                       ▲          ▲
        └──▶ lost ──────────────┴──────────┘   found by its slot label, or given up

A slot is written before the request that creates its session goes out, so that whatever happens then,
there is a slot label to find the session by.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: Seconds to wait for another process's transaction, which takes milliseconds.
_BUSY_SECONDS = 30.0

#: Of the schema: another version of this plugin may have left a run behind.
_VERSION = 1

_SCHEMA = """
CREATE TABLE IF NOT EXISTS slots (
    slot TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    member TEXT NOT NULL,
    image TEXT NOT NULL,
    session_id TEXT,
    idle_timeout INTEGER NOT NULL,
    created_at REAL NOT NULL,
    expires_at INTEGER NOT NULL,
    note TEXT NOT NULL DEFAULT ''
);
CREATE TABLE IF NOT EXISTS refusals (subject TEXT PRIMARY KEY, error TEXT NOT NULL);
"""


class SlotState(str, Enum):
    """Where a slot is in its life."""

    CREATING = "creating"
    LEASED = "leased"
    LOST = "lost"
    DELETING = "deleting"
    GONE = "gone"


@dataclass(frozen=True)
class Slot:
    """A row: one intended session."""

    slot: str
    state: SlotState
    member: str
    image: str
    session_id: str | None
    #: Seconds.
    idle_timeout: int
    #: Unix seconds.
    created_at: float
    #: Unix seconds after which nobody can still be using the session.
    expires_at: int
    note: str


@dataclass(frozen=True)
class Count:
    """What became of the sessions of a run."""

    created: int
    deleted: int


class IllegalTransitionError(RuntimeError):
    """A slot was not in a state that the transition starts from: a bug of ours."""


def lay_schema(path: Path) -> None:
    """Create the tables and switch to WAL mode. Call it under a lock.

    Several processes that switch to WAL at once get "database is locked".
    """
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    finally:
        connection.close()


def of_this_version(path: Path) -> bool:
    """Whether the table at ``path`` was laid by this version of the plugin, and wholly."""
    connection = sqlite3.connect(path, timeout=_BUSY_SECONDS)
    try:
        return bool(connection.execute("PRAGMA user_version").fetchone()[0] == _VERSION)
    except sqlite3.DatabaseError:  # not a database
        return False
    finally:
        connection.close()


class SlotTable:
    """The slots, as one process sees them. A connection belongs to one process; a fork opens its own."""

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._connection = sqlite3.connect(
            path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._clock = clock
        self._lock = (
            threading.Lock()
        )  # a test may create sessions from threads; a connection has one transaction

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def begin(self, slot: str, *, member: str, image: str, idle_timeout: int, expires_at: int) -> None:
        """Write a slot whose create is about to be sent. ``expires_at`` is in Unix seconds."""
        with self._transaction():
            self._connection.execute(
                "INSERT INTO slots (slot, state, member, image, idle_timeout, created_at, expires_at) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                (slot, SlotState.CREATING.value, member, image, idle_timeout, self._clock(), expires_at),
            )

    def leased(self, slot: str, session_id: str) -> None:
        """The session was created, for the member that waits for it."""
        self._move(slot, SlotState.LEASED, (SlotState.CREATING,), session_id=session_id)

    def lost(self, slot: str, note: str) -> None:
        """The answer to the create did not come: there may be a session, to be found by its slot label."""
        self._move(slot, SlotState.LOST, (SlotState.CREATING,), note=note)

    def deleting(self, slot: str, session_id: str | None = None) -> None:
        """The session is to be deleted; ``session_id`` where it was not known before."""
        states = (SlotState.CREATING, SlotState.LOST, SlotState.LEASED, SlotState.DELETING)
        self._move(slot, SlotState.DELETING, states, session_id=session_id)

    def gone(self, slot: str, note: str = "") -> None:
        """No session of this slot is left, or none ever was."""
        self._move(slot, SlotState.GONE, tuple(SlotState), note=note)

    def note(self, slot: str, note: str) -> None:
        """Record what a person should know of a slot."""
        with self._transaction():
            self._connection.execute("UPDATE slots SET note = ? WHERE slot = ?", (note, slot))

    def left(self, member: str | None = None) -> list[Slot]:
        """The slots that may still have a session, of one member or of all."""
        rows = self._fetch(
            "SELECT slot, state, member, image, session_id, idle_timeout, created_at, expires_at, note "
            "FROM slots WHERE state != ? AND (? IS NULL OR member = ?) ORDER BY created_at",
            (SlotState.GONE.value, member, member),
        )
        return [Slot(row[0], SlotState(row[1]), *row[2:]) for row in rows]

    def count(self) -> Count:
        """How many sessions were created and how many of them are deleted."""
        ((created, deleted),) = self._fetch(
            "SELECT COUNT(*), COALESCE(SUM(state = ?), 0) FROM slots WHERE session_id IS NOT NULL",
            (SlotState.GONE.value,),
        )
        return Count(created, deleted)

    def version(self) -> int:
        """Changes whenever another process has written."""
        ((version,),) = self._fetch("PRAGMA data_version", ())
        return int(version)

    def remember_refusal(self, subject: str, error: str) -> None:
        """Remember that the service refuses ``subject`` for good, for all processes of the run."""
        with self._transaction():
            self._connection.execute("INSERT OR REPLACE INTO refusals VALUES (?, ?)", (subject, error))

    def refusal(self, *subjects: str) -> str | None:
        """What was remembered of any of ``subjects``."""
        places = ", ".join("?" * len(subjects))
        rows = self._fetch(f"SELECT error FROM refusals WHERE subject IN ({places}) LIMIT 1", subjects)
        return rows[0][0] if rows else None

    def _fetch(self, query: str, values: tuple[str | None, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def _move(
        self,
        slot: str,
        to: SlotState,
        from_states: tuple[SlotState, ...],
        *,
        session_id: str | None = None,
        note: str = "",
    ) -> None:
        places = ", ".join("?" * len(from_states))
        with self._transaction():
            changed = self._connection.execute(
                "UPDATE slots SET state = ?, session_id = COALESCE(?, session_id), "
                f"note = CASE WHEN ? = '' THEN note ELSE ? END WHERE slot = ? AND state IN ({places})",
                (to.value, session_id, note, note, slot, *(state.value for state in from_states)),
            ).rowcount
        if changed != 1:
            raise IllegalTransitionError(f"slot {slot} can't become {to.value}")
