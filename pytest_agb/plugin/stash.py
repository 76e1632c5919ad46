"""Keys of what we keep in pytest's own store, `pytest.Config.stash`, and of what xdist carries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_agb.settings import Settings

#: Of the properties that the report of a failed test has: the IDs of its sessions, whether these or the test
#: failed, and its dossier as JSON.
SESSION, VERDICT, DOSSIER = "agb_session", "agb_verdict", "agb_dossier"
PROPERTIES = frozenset({SESSION, VERDICT, DOSSIER})

SETTINGS: pytest.StashKey[Settings] = pytest.StashKey()
#: On GitHub Actions: the file for the summary of the job's step, or an empty string.
JOB_SUMMARY: pytest.StashKey[str] = pytest.StashKey()

#: That what uses sessions was imported before the first test.
JOINED_EARLY: pytest.StashKey[bool] = pytest.StashKey()

#: Of the settings, in what xdist's controller sends to each worker.
WORKER_INPUT = "agb_settings"
#: Of `run_directory.place`, in what workers send to the controller when they end, if they used sessions.
WORKER_OUTPUT = "agb_place"
#: The same, of the session IDs that are kept on the worker's host, each with what for.
WORKER_KEPT = "agb_kept"
