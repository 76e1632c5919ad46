"""Tables in a directory of the test's own, on a clock that stands still."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tables import Clock

from pytest_agb.store.database import Database, lay_schema
from pytest_agb.store.slots import SlotTable
from pytest_agb.store.upcoming import Upcoming
from pytest_agb.store.waiters import Waiters


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "slots.sqlite3"
    lay_schema(path)
    return path


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    database = Database(path)
    yield database
    database.close()


@pytest.fixture
def slots(database: Database, clock: Clock) -> SlotTable:
    return SlotTable(database, clock=clock)


@pytest.fixture
def leases(database: Database, clock: Clock) -> Waiters:
    return Waiters(database, usable_seconds=1700.0, clock=clock)


@pytest.fixture
def units(database: Database) -> Upcoming:
    return Upcoming(database)
