from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from deadline import eventually
from standin import StandIn
from suite import Suite

from pytest_agb.pool.database import Database
from pytest_agb.pool.slots import SlotState, SlotTable


@pytest.fixture
def suite(tmp_path: Path, temp_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Suite]:
    directory = tmp_path / "suite"
    directory.mkdir()
    with StandIn(delete_seconds=3.0) as service:
        monkeypatch.setenv("AGB_ENDPOINT", service.endpoint)
        monkeypatch.setenv("AGB_API_KEY", service.api_key)
        (directory / "pytest.ini").write_text("[pytest]\n")
        yield Suite(directory, service)
        eventually(lambda: _nothing_to_keep(temp_directory), "the keeper has nothing left to do")


def _nothing_to_keep(temp_directory: Path) -> bool:
    """Whether no slot is left, but for creates that were cut off: the keeper looks for those for a minute."""
    for path in temp_directory.glob("pytest-agb-*/run-*/slots.sqlite3"):
        try:
            with closing(Database(path)) as database:
                if any(slot.state is not SlotState.LOST for slot in SlotTable(database).left()):
                    return False
        except sqlite3.OperationalError:
            return False  # it is being removed at this moment: look again
    return True
