"""Who wants a session, and who gets which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb.store import slots, upcoming
from pytest_agb.store.slots import Slot, SlotState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from pytest_agb.store.database import Database


@dataclass(frozen=True)
class Want:
    """A process that waits for a session."""

    want: int
    spec: str
    member: str
    #: What for, a test's node ID for example.
    user: str


class Waiters:
    """The queue of those who wait, as one process sees it: first come, first served."""

    def __init__(self, database: Database, *, usable_seconds: float, clock: Callable[[], float]) -> None:
        """A session older than ``usable_seconds`` is not leased any more."""
        self._database = database
        self._usable = usable_seconds
        self._clock = clock

    # ---- for whoever wants a session ---------------------------------------------------------------------

    def ask(self, spec: str, *, member: str, user: str, unit: str = "") -> Slot | int:
        """Claim an idle session or, where there is none to be had, queue up: the number is the want's.

        ``unit`` is what of the tests to come this is (see `expect`).
        """
        with self._database.transaction() as connection:
            if unit:
                upcoming.mark_done(connection, unit)
            row = connection.execute(
                "INSERT INTO wants (spec, member, user) VALUES (?, ?, ?)", (spec, member, user)
            )
            want = Want(int(row.lastrowid or 0), spec, member, user)
            return self._claim(connection, want) or want.want

    def claim(self, number: int) -> Slot | None:
        """Claim a session for a want, if one is to be had: the want is served then."""
        with self._database.transaction() as connection:
            row = connection.execute(
                "SELECT want, spec, member, user FROM wants WHERE want = ? AND error IS NULL", (number,)
            ).fetchone()
            return self._claim(connection, Want(*row)) if row else None

    def error(self, number: int) -> str | None:
        """Why a want can't be served, if that is known."""
        rows = self._database.fetch("SELECT error FROM wants WHERE want = ?", (number,))
        return rows[0][0] if rows else None

    def withdraw(self, number: int) -> None:
        """Wait no longer."""
        self._database.write("DELETE FROM wants WHERE want = ?", (number,))

    def _claim(self, connection: sqlite3.Connection, want: Want) -> Slot | None:
        ((before,),) = connection.execute(
            "SELECT COUNT(*) FROM wants WHERE spec = ? AND want < ? AND error IS NULL", (want.spec, want.want)
        ).fetchall()
        now = self._clock()
        row = connection.execute(
            "SELECT slot FROM slots WHERE state = 'idle' AND spec = ? AND created_at > ? "
            "ORDER BY created_at LIMIT 1 OFFSET ?",
            (want.spec, now - self._usable, before),
        ).fetchone()
        if row is None:
            return None
        connection.execute(
            "UPDATE slots SET state = ?, member = ?, user = ?, leased_at = ?, uses = uses + 1 WHERE slot = ?",
            (SlotState.LEASED.value, want.member, want.user, now, row[0]),
        )
        connection.execute("DELETE FROM wants WHERE want = ?", (want.want,))
        found = connection.execute(f"SELECT {slots.COLUMNS} FROM slots WHERE slot = ?", row).fetchone()
        return slots.from_row(found)

    # ---- for the keeper ----------------------------------------------------------------------------------

    def waiting(self) -> list[Want]:
        """Who waits, the longest waiting first."""
        rows = self._database.fetch(
            "SELECT want, spec, member, user FROM wants WHERE error IS NULL ORDER BY want"
        )
        return [Want(*row) for row in rows]

    def fail(self, spec: str, error: str) -> bool:
        """Tell whoever waits longest for ``spec`` that it can't be had; false if nobody waits."""
        return bool(
            self._database.write(
                "UPDATE wants SET error = ? WHERE want = "
                "(SELECT MIN(want) FROM wants WHERE spec = ? AND error IS NULL)",
                (error, spec),
            )
        )
