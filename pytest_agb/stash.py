"""What we keep in pytest's own store, `pytest.Config.stash`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_agb.attendance import Attendance
from pytest_agb.settings import Settings

if TYPE_CHECKING:
    from pytest_agb.demand import Demand
    from pytest_agb.held import Held
    from pytest_agb.pool.drain import Summary

SETTINGS = pytest.StashKey[Settings]()
#: In the controller.
ATTENDANCE = pytest.StashKey[Attendance]()
#: What became of the run's sessions; there at the end of a run that used any.
SUMMARY: pytest.StashKey[Summary | None] = pytest.StashKey()
#: Of a node: the sessions that are held until its scope ends.
HELD: pytest.StashKey[list[Held]] = pytest.StashKey()
#: What is known of the tests to come; there once a test that uses `agb_session` was.
DEMAND: pytest.StashKey[Demand] = pytest.StashKey()
