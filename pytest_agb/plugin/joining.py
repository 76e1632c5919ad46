"""When a process joins the run: before its first test, where a test is known to ask for what takes that.

Later a test may have stopped the clock, mocked httpx or put a fake file system in place. What goes wrong here
concerns no test but those that ask: it is kept for the first of them.
"""

from __future__ import annotations

from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import pytest

from pytest_agb.plugin import controller
from pytest_agb.plugin.pytest_internals import fixture_names, skipped_by_mark
from pytest_agb.plugin.stash import JOINED_EARLY, SETTINGS
from pytest_agb.run import run_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_agb.dossier.journal import Journal
    from pytest_agb.pool.pool import Pool

_POOL: pytest.StashKey[Pool] = pytest.StashKey()


class _Failure(NamedTuple):
    error: Exception


#: Of what is no matter of the run's: a library that can't be imported, say.
_FAILURE: pytest.StashKey[_Failure] = pytest.StashKey()


def join_early(session: pytest.Session) -> None:
    """Join the run, if a test that is left will do so."""
    config = session.config
    option = config.option
    stops = session.testsfailed and not option.continue_on_collection_errors  # pytest says so, and runs none
    if option.collectonly or config.getoption("setupplan", False) or stops:
        return
    if not any(map(_will_join, session.items)):
        return
    settings = config.stash[SETTINGS]
    reason = run_directory.unfit(settings.run_id, settings.temp_directory)
    if reason and not controller.is_worker(config):  # a worker's tests are told: xdist loses a usage error
        raise pytest.UsageError(f"no AGB sessions: {reason}")
    try:
        _import_the_rest()
        config.stash[JOINED_EARLY] = True
        pool(config).join()
    except Exception as error:
        config.stash[_FAILURE] = _Failure(error)
        return
    if not controller.is_worker(config):
        controller.attend(config).look()  # now: its fixtures may end while a test's fake file system lives


def _import_the_rest() -> None:
    """Import what is imported where tests ask.

    pyfakefs forgets all modules that were imported while its file system was in place.
    """
    for name in ("forecast", "leasing", "lifetime", "marker", "misuse", "params", "signals"):
        import_module(f"pytest_agb.plugin.{name}")


@contextmanager
def naming_patches(pool: Pool) -> Iterator[None]:
    """Say what a test has replaced, where that keeps it from joining the run as it runs."""
    try:
        yield
    except Exception as error:
        if pool.joined:
            raise
        from pytest_agb.plugin import patches  # only where something went wrong: start-up time

        explained = patches.explained(error)
        if explained is None:
            raise
        raise explained from error


def _will_join(item: pytest.Item) -> bool:
    return "_agb_pool" in fixture_names(item) and not skipped_by_mark(item)


def pool(config: pytest.Config) -> Pool:
    """This process's part of the run's pool, which joins the run now if it has not.

    Raises:
        Exception: what went wrong before the first test, once.
    """
    failure = config.stash.get(_FAILURE, None)
    if failure is not None:
        del config.stash[_FAILURE]
        raise failure.error
    if _POOL not in config.stash:
        from pytest_agb.pool.pool import Pool  # a run that asks for no session does not pay for httpx

        config.stash[_POOL] = Pool(config.stash[SETTINGS], title=controller.title(config))
    return config.stash[_POOL]


def kept(config: pytest.Config) -> list[tuple[str, str]]:
    """The sessions that are left to the user, each with what for."""
    return config.stash[_POOL].kept() if _POOL in config.stash else []


def journal(config: pytest.Config) -> Journal | None:
    """What this process does with its sessions; ``None`` if it is not in the run."""
    own = config.stash.get(_POOL, None)
    return None if own is None else own.journal


def leave(config: pytest.Config) -> None:
    """Leave the run, if this process is in it. The keeper deletes what is left of it."""
    if _POOL in config.stash:
        own = config.stash[_POOL]
        del config.stash[_POOL]
        if own.joined and not controller.is_worker(config):
            controller.attend(config).used = True
        own.close()
