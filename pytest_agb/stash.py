"""What we keep in pytest's own store, `pytest.Config.stash`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_agb.settings import Settings

if TYPE_CHECKING:
    from pytest_agb.pool import Summary

SETTINGS = pytest.StashKey[Settings]()
#: What became of the run's sessions; there at the end of a run that used any.
SUMMARY: pytest.StashKey[Summary | None] = pytest.StashKey()
