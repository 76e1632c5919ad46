"""Earlier runs on this host that died with their keeper: their sessions are deleted by the next run.

Only under the same endpoint and key: to another account every session is "not found", which proves nothing.
All of this is done by a process of its own. No test waits for it, and what goes wrong with an earlier run
is a line at the end of this one at most.
"""

from __future__ import annotations

import os
import time
from enum import Enum
from typing import TYPE_CHECKING, Any

from pytest_agb.run import account, aside, detach, keeper_process, local_server, members, run_directory
from pytest_agb.run.one_per_host import joining_lock
from pytest_agb.settings import Settings
from pytest_agb.store import run_clock
from pytest_agb.store.database import Database, StateError, of_this_version
from pytest_agb.store.facts import Facts
from pytest_agb.store.slots import SlotTable
from pytest_agb.store.state import database_path

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Seconds after which a directory is removed although nobody can read what is left of it.
_FORGET_SECONDS = 7 * 24 * 3600.0


class _State(Enum):
    LIVES = "a process of the run lives"
    LEFT = "sessions may be left"
    OVER = "nothing is left"
    UNREADABLE = "another version's, or damaged"


def start(settings: Settings) -> None:
    """Begin to `sweep`, in a process that outlives this one, if a run looks dead."""
    try:
        if not all(map(_lives, _others(settings))):
            base = run_directory.base()
            detach.start(f"{__name__}:main", settings._asdict(), directory=base, log=base / "sweep.log")
    except (OSError, detach.DetachError) as error:
        aside.note("sweep", f"what earlier runs left on this host can't be looked at: {error}")


def main(payload: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Sweep, in a detached process."""
    report({})
    sweep(Settings.from_wire(payload))


def sweep(settings: Settings) -> None:
    """Give a keeper to each dead run of this account; remove the directories of those with nothing left."""
    ended = []
    for run in _others(settings):
        try:
            if _may_go(run):
                ended += _retire(run)
            elif _state(run) is _State.LEFT and settings.outlives_run and account.same(run, settings):
                keeper_process.ensure(run, settings, linger_seconds=0.0)
        except FileNotFoundError:
            continue  # its own server or another run removes it at this moment
        except Exception as error:  # whatever it is, the others must not suffer from it
            aside.note(run.name, f"{run}, which an earlier run left, is left alone: {error or error!r}")
    os.nice(10)  # the keepers are under way; what follows may take long, and tests run meanwhile
    for directory in ended:
        aside.remove(directory)
    aside.forget_notes(_FORGET_SECONDS)


def _others(settings: Settings) -> list[Path]:
    """The directories of other runs."""
    with os.scandir(run_directory.base()) as entries:
        found = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    return [
        run_directory.base() / name
        for name in found
        if run_directory.is_run(name) and name != settings.run_id
    ]


def _may_go(run: Path) -> bool:
    old = time.time() - run.lstat().st_mtime > _FORGET_SECONDS  # opening its tables makes it new
    state = _state(run)
    return state is _State.OVER or (state is _State.UNREADABLE and old)


def _retire(run: Path) -> list[Path]:
    with joining_lock():  # nobody joins from here on; the first look, without the lock, may have taken long
        return [run_directory.retire(run)] if _may_go(run) else []


def _lives(run: Path) -> bool:
    try:
        return members.any_alive(run / "members") or local_server.endpoint(run) is not None
    except (OSError, ValueError, TypeError, KeyError):  # damaged: a closer look will tell
        return False


def _state(run: Path) -> _State:
    try:
        if _lives(run):
            return _State.LIVES
        path = database_path(run)
        # A local server took its sessions with it. Without a table no create was ever sent.
        if run.name.startswith(run_directory.ENDED) or not path.exists() or (run / "sandboxes").exists():
            return _State.OVER
        if not of_this_version(path):
            return _State.UNREADABLE
        return _State.LEFT if _slots_left(path) else _State.OVER
    except FileNotFoundError:
        raise
    except (OSError, ValueError, TypeError, KeyError, StateError):
        return _State.UNREADABLE


def _slots_left(path: Path) -> bool:
    database = Database(path)
    try:
        clock = run_clock.of(Facts(database))
        return any(clock() < slot.expires_at for slot in SlotTable(database, clock=clock).left())
    finally:
        database.close()
