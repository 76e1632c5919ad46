"""A refusal is remembered for what it is about, and for nothing else."""

from __future__ import annotations

from pathlib import Path

from pytest_agb.client import ImageNotFoundError
from pytest_agb.store.database import Database
from pytest_agb.store.refusals import Refusals


def test_refusals_are_remembered_by_subject(path: Path, database: Database) -> None:
    Refusals(database).remember(ImageNotFoundError("no such image"), "x")
    other = Database(path)

    assert "no such image" in str(Refusals(other).find("x"))
    assert Refusals(other).find("y") is None
    other.close()
