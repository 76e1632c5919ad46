"""What we keep in pytest's own store, `pytest.Config.stash`, and in what xdist carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_agb.plugin.controller import Controller
    from pytest_agb.plugin.forecast import Forecast
    from pytest_agb.plugin.leased_session import LeasedSession
    from pytest_agb.pool.shutdown import Summary
    from pytest_agb.settings import Settings

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
#: In the controller, from when its run may have sessions.
CONTROLLER: pytest.StashKey[Controller] = pytest.StashKey()
#: What became of the run's sessions; there at the end of a run that used any.
SUMMARY: pytest.StashKey[Summary | None] = pytest.StashKey()
#: Of a node: the sessions that are held until its scope ends.
LEASED_SESSIONS: pytest.StashKey[list[LeasedSession]] = pytest.StashKey()
#: What is known of the tests to come; there once a test that uses `agb_session` was.
FORECAST: pytest.StashKey[Forecast] = pytest.StashKey()

#: Key of `rundir.place` in what xdist's workers send to the controller when they end, if they used sessions.
WORKER_OUTPUT = "agb_place"
#: The same, of the session IDs that are kept on the worker's host, each with what for.
WORKER_KEPT = "agb_kept"
