"""Keys of what we keep in pytest's own store, `pytest.Config.stash`, and of what xdist carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_agb.settings import Settings

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()

#: That what uses sessions was imported before the first test.
JOINED_EARLY: pytest.StashKey[bool] = pytest.StashKey()

#: Of the settings, in what xdist's controller sends to each worker.
WORKER_INPUT = "agb_settings"
#: Of `run_directory.place`, in what workers send to the controller when they end, if they used sessions.
WORKER_OUTPUT = "agb_place"
#: The same, of the session IDs that are kept on the worker's host, each with what for.
WORKER_KEPT = "agb_kept"
