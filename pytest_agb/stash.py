"""What we keep in pytest's own store, `pytest.Config.stash`."""

from __future__ import annotations

import pytest

from pytest_agb.settings import Settings

SETTINGS = pytest.StashKey[Settings]()
