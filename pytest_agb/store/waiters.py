"""Who wants a session, who gets which, and which tests are still to come."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb.store import slots
from pytest_agb.store.slots import Slot, SlotState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

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

    def __init__(
        self, database: Database, *, usable_seconds: float, clock: Callable[[], float] = time.time
    ) -> None:
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
                _done(connection, unit)
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


class Upcoming:
    """The tests to come that will ask for a session; one unit for all tests that share it.

    What the first test of a kind was given tells what the others will ask for.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def expect(self, spec: str, units: Iterable[tuple[str, int]]) -> None:
        """Expect that sessions of ``spec`` will be asked for by ``units``, each with its place in the run.

        What is done, or expected already, stays as it is.
        """
        with self._database.transaction() as connection:
            connection.executemany(
                "INSERT INTO units (unit, spec, position) VALUES (?, ?, ?) "
                "ON CONFLICT (unit) DO UPDATE SET spec = excluded.spec WHERE units.spec IS NULL AND done = 0",
                [(unit, spec, position) for unit, position in units],
            )

    def soon(self, unit: str) -> None:
        """A process will come to ``unit`` next."""
        self._database.write("UPDATE units SET soon = 1 WHERE unit = ? AND done = 0 AND soon = 0", (unit,))

    def done(self, unit: str) -> None:
        """Nobody will ask for a session for ``unit`` any more."""
        with self._database.transaction() as connection:
            _done(connection, unit)

    def specs(self, most: int) -> list[str]:
        """The specs of the units to come, in their order, ``most`` at the most."""
        rows = self._database.fetch(
            "SELECT spec FROM units WHERE done = 0 AND spec IS NOT NULL ORDER BY soon DESC, position LIMIT ?",
            (most,),
        )
        return [row[0] for row in rows]


def _done(connection: sqlite3.Connection, unit: str) -> None:
    connection.execute(
        "INSERT INTO units (unit, done) VALUES (?, 1) ON CONFLICT (unit) DO UPDATE SET done = 1", (unit,)
    )
