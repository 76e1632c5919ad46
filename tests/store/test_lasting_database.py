"""The keeper's connection goes on in memory with what it knew, whatever becomes of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.tables import Clock, begin, ready, states

from pytest_agb.store.database import Database, StateError
from pytest_agb.store.lasting_database import LastingDatabase
from pytest_agb.store.slots import SlotState, SlotTable


@pytest.fixture
def lasting(path: Path) -> Iterator[LastingDatabase]:
    database = LastingDatabase(path)
    yield database
    database.close()


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"no database at all" * 1000)


def test_what_was_read_and_written_since_is_there_after_the_file_is_overwritten(
    lasting: LastingDatabase, path: Path, clock: Clock
) -> None:
    slots = SlotTable(lasting, clock=clock)
    begin(slots, "a")
    assert lasting.remember(slots.left())
    ready(slots, "b")
    assert not lasting.lost
    overwrite(path)

    assert lasting.remember(slots.left()) is False

    assert "is damaged" in lasting.lost
    assert sorted(states(slots)) == [("a", SlotState.CREATING), ("b", SlotState.IDLE)]
    slots.give_up("b", "nobody needs it")
    slots.gone("a")
    assert states(slots) == [("b", SlotState.DELETING)]


def test_what_others_delete_behind_its_back_is_not_forgotten(
    lasting: LastingDatabase, path: Path, clock: Clock
) -> None:
    slots = SlotTable(lasting, clock=clock)
    ready(slots, "a")
    ready(slots, "b")
    lasting.remember(slots.left())
    slots.gone("b")
    lasting.remember(slots.left())
    other = Database(path)
    other.write("DELETE FROM slots WHERE slot = 'a'")
    other.close()

    assert slots.give_up("a", "nobody needs it")

    assert lasting.lost
    assert states(slots) == [("a", SlotState.DELETING)]


def test_a_file_that_was_removed_is_told_and_used_by_who_has_it_open(
    lasting: LastingDatabase, path: Path, clock: Clock
) -> None:
    slots, other = SlotTable(lasting, clock=clock), Database(path)
    lasting.look()
    assert not lasting.lost
    path.unlink()

    lasting.look()
    ready(SlotTable(other, clock=clock), "a")

    assert "was removed" in lasting.lost
    assert states(slots) == [("a", SlotState.IDLE)]
    other.close()


def test_what_was_never_read_is_no_empty_state(lasting: LastingDatabase, path: Path, clock: Clock) -> None:
    overwrite(path)

    with pytest.raises(StateError, match="It is damaged"):
        SlotTable(lasting, clock=clock).left()
