"""The slots: written before the create, moved only along the picture, shared by all processes of a run."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_agb.pool.slots import IllegalTransitionError, SlotState, SlotTable, lay_schema


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "slots.sqlite3"
    lay_schema(path)
    return path


@pytest.fixture
def slots(path: Path) -> Iterator[SlotTable]:
    table = SlotTable(path)
    yield table
    table.close()


def begin(slots: SlotTable, slot: str, member: str = "m") -> None:
    slots.begin(slot, member=member, image="agb-code-space-1", idle_timeout=120, expires_at=2000)


def test_a_life(slots: SlotTable) -> None:
    begin(slots, "a")
    assert [(slot.state, slot.session_id) for slot in slots.left()] == [(SlotState.CREATING, None)]
    slots.leased("a", "session-1")
    assert [(slot.state, slot.session_id) for slot in slots.left()] == [(SlotState.LEASED, "session-1")]
    slots.deleting("a")
    slots.note("a", "deletion accepted")
    assert [(slot.state, slot.note) for slot in slots.left()] == [(SlotState.DELETING, "deletion accepted")]
    slots.gone("a")
    assert slots.left() == []


def test_a_lost_session_is_deleted_once_found(slots: SlotTable) -> None:
    begin(slots, "a")
    slots.lost("a", "no answer")
    slots.deleting("a", "session-1")

    assert [(slot.state, slot.session_id) for slot in slots.left()] == [(SlotState.DELETING, "session-1")]


def test_no_way_back(slots: SlotTable) -> None:
    begin(slots, "a")
    slots.leased("a", "session-1")
    with pytest.raises(IllegalTransitionError, match="slot a can't become leased"):
        slots.leased("a", "session-2")
    slots.gone("a")
    with pytest.raises(IllegalTransitionError, match="slot a can't become deleting"):
        slots.deleting("a")
    with pytest.raises(IllegalTransitionError, match="slot b can't become gone"):
        slots.gone("b")


def test_a_slot_is_written_once(slots: SlotTable) -> None:
    begin(slots, "a")
    with pytest.raises(sqlite3.IntegrityError):
        begin(slots, "a")


def test_what_is_left_of_one_member(slots: SlotTable) -> None:
    begin(slots, "a", "one")
    begin(slots, "b", "two")

    assert [slot.slot for slot in slots.left("two")] == ["b"]


def test_refusals_are_remembered_by_subject(path: Path, slots: SlotTable) -> None:
    slots.remember_refusal("image:x", "no such image")
    other = SlotTable(path)

    assert other.refusal("account", "image:x") == "no such image"
    assert other.refusal("account", "image:y") is None
    other.close()


def test_eight_processes_write_at_once(path: Path, slots: SlotTable) -> None:
    code = """
import sys
from pathlib import Path
from pytest_agb.pool.slots import SlotTable, lay_schema
table = SlotTable(Path(sys.argv[1]))
for number in range(25):
    slot = f"{sys.argv[2]}-{number}"
    table.begin(slot, member=sys.argv[2], image="i", idle_timeout=1, expires_at=1)
    table.leased(slot, f"session-{slot}")
    table.deleting(slot)
    if number:
        table.gone(slot)
table.close()
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, str(path), str(n)]) for n in range(8)]

    assert [process.wait(60) for process in processes] == [0] * 8
    assert sorted(slot.slot for slot in slots.left()) == [f"{n}-0" for n in range(8)]
