"""The run's state on this host, as one process sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.store import run_clock
from pytest_agb.store.database import Database
from pytest_agb.store.facts import Facts
from pytest_agb.store.refusals import Refusals
from pytest_agb.store.slots import SlotTable
from pytest_agb.store.upcoming import Upcoming
from pytest_agb.store.waiters import Waiters

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_agb.settings import Settings

#: A session is not leased in the last part of its life, as far as that is no more than so many seconds.
_LAST_PART = 0.1
_LAST_SECONDS = 60.0


def database_path(run: Path) -> Path:
    """Where the state of the run in the directory ``run`` is."""
    return run / "slots.sqlite3"


def usable_seconds(settings: Settings) -> float:
    """The age from which on a session is not leased any more."""
    return settings.max_lifetime - min(_LAST_SECONDS, _LAST_PART * settings.max_lifetime)


class State:
    """One connection and the tables on it."""

    def __init__(
        self,
        run: Path,
        settings: Settings,
        *,
        clock: Callable[[], float] | None = None,
        database: Database | None = None,
    ) -> None:
        """``clock`` takes the place of the run's own, for simulations; ``database`` of a new connection."""
        self.database = database or Database(database_path(run))
        self.facts = Facts(self.database)
        self.clock = clock = clock or run_clock.of(self.facts)
        self.slots = SlotTable(self.database, clock=clock)
        self.waiters = Waiters(self.database, usable_seconds=usable_seconds(settings), clock=clock)
        self.upcoming = Upcoming(self.database)
        self.refusals = Refusals(self.database)

    def close(self) -> None:
        """Close the connection."""
        self.database.close()
