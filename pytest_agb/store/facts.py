"""Figures and words that the processes of a run tell each other, by name."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_agb.store.database import Database


class Fact(StrEnum):
    """The names of what is told."""

    #: What the run's clock goes by, as JSON: see `pytest_agb.store.run_clock`.
    CLOCK = "clock"
    #: Seconds that a create, a lease and a delete take, as JSON.
    TIMES = "times"
    #: How many sessions there should be at once, and why: words for people.
    DEPTH = "depth"
    #: What the service said when it had no room; there only while somebody waits for that.
    NO_ROOM = "no room"
    #: How many sessions there were when the account had no room for another: a number.
    LEVEL = "level"


class Facts:
    """The facts, as one process sees them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, name: Fact, value: str) -> None:
        """Publish a fact, unless it is published already; an empty one is withdrawn."""
        if value == self.get(name):
            return
        if value:
            self._database.write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name.value, value))
        else:
            self._database.write("DELETE FROM facts WHERE name = ?", (name.value,))

    def settle(self, name: Fact, value: str) -> str:
        """Publish a fact unless there is one; return the one that there is."""
        settled = self.get(name)
        if settled:
            return settled
        self._database.write("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name.value, value))
        return self.get(name)

    def get(self, name: Fact) -> str:
        """A fact; empty where there is none."""
        rows = self._database.fetch("SELECT value FROM facts WHERE name = ?", (name.value,))
        return rows[0][0] if rows else ""
