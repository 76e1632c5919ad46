"""What the processes of a run tell each other beyond the slots: figures by name, and refusals for good."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_agb.store.database import Database

#: Seconds that a create, a lease and a delete take, as JSON.
TIMES = "times"
#: How many sessions there should be at once, and why: words for people.
DEPTH = "depth"
#: What the service said when it had no room.
PRESSURE = "pressure"


class Facts:
    """What the processes of a run tell each other beyond the slots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def remember_refusal(self, subject: str, error: str) -> None:
        """Remember that the service refuses ``subject`` for good, for all processes of the run."""
        self._database.write("INSERT OR REPLACE INTO refusals VALUES (?, ?)", (subject, error))

    def refusal(self, *subjects: str) -> str | None:
        """What was remembered of any of ``subjects``."""
        places = ", ".join("?" * len(subjects))
        rows = self._database.fetch(
            f"SELECT error FROM refusals WHERE subject IN ({places}) LIMIT 1", subjects
        )
        return rows[0][0] if rows else None

    def put(self, name: str, value: str) -> None:
        """Publish a fact under ``name``."""
        self._database.write("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, value))

    def get(self, name: str) -> str:
        """The latest fact under ``name``; empty where there is none."""
        rows = self._database.fetch("SELECT value FROM facts WHERE name = ?", (name,))
        return rows[0][0] if rows else ""
