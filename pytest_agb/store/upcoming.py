"""Which tests are still to come, and what they will ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from pytest_agb.store.database import Database


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
            mark_done(connection, unit)

    def specs(self, most: int) -> list[str]:
        """The specs of the units to come, in their order, ``most`` at the most."""
        rows = self._database.fetch(
            "SELECT spec FROM units WHERE done = 0 AND spec IS NOT NULL ORDER BY soon DESC, position LIMIT ?",
            (most,),
        )
        return [row[0] for row in rows]


def mark_done(connection: sqlite3.Connection, unit: str) -> None:
    """Note, in a transaction of somebody's, that nobody will ask for a session for ``unit`` any more."""
    connection.execute(
        "INSERT INTO units (unit, done) VALUES (?, 1) ON CONFLICT (unit) DO UPDATE SET done = 1", (unit,)
    )
