"""An error that all tests of a run share is told in full once, and in a line in each of the others."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

from pytest_agb.client import AuthenticationError
from pytest_agb.plugin.pytest_internals import test_that_asks
from pytest_agb.plugin.stash import SETTINGS
from pytest_agb.pool.acquire import REMEMBERED
from pytest_agb.run import run_directory

if TYPE_CHECKING:
    from pytest_agb.client import AGBError

#: Of a test: whether another one has its error in full, so that its own report need not tell it again.
ELSEWHERE: pytest.StashKey[bool] = pytest.StashKey()


def once(request: pytest.FixtureRequest, error: AGBError) -> str:
    """What is said of ``error`` in the test that asks: all of it, or which test on this host has that."""
    item = test_that_asks(request)
    first = _first(request.config, item.nodeid, error)
    item.stash[ELSEWHERE] = first != item.nodeid
    return f"{type(error).__name__}, as {first} has it in full" if item.stash[ELSEWHERE] else str(error)


def _first(config: pytest.Config, test: str, error: AGBError) -> str:
    """The test that tells ``error``: ``test`` itself, if none did before."""
    settings = config.stash[SETTINGS]
    name = hashlib.sha256(_sameness(error).encode()).hexdigest()[:16]
    place = run_directory.path(settings.run_id, settings.temp_directory) / f"told-{name}"
    try:
        with place.open("x", encoding="utf-8") as file:
            file.write(test)
    except FileExistsError:
        return place.read_text(encoding="utf-8") or "a test at the same time"
    except OSError:  # the run has no directory, or no room in it: that is an error to tell in full, too
        pass
    return test


def _sameness(error: AGBError) -> str:
    """What two errors have in common that need be told but once."""
    kind = type(error).__name__
    if isinstance(error, AuthenticationError):  # a run has one key
        return kind
    return f"{kind} {error.message.removesuffix(f' ({REMEMBERED})')} {error.hint}"
