"""Earlier runs on this host that died with their keeper: their sessions are deleted by the next run.

Only under the same endpoint and key: to another account every session is "not found", which proves nothing.
"""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_agb import rundir
from pytest_agb.pool import account, keeper, members, server_process
from pytest_agb.pool.background import joining_lock
from pytest_agb.pool.database import Database, of_this_version
from pytest_agb.pool.slots import SlotTable
from pytest_agb.pool.state import database_path
from pytest_agb.settings import CLOUD, Settings

if TYPE_CHECKING:
    from pathlib import Path

#: Seconds after which a directory is removed although nobody can read what is left of it.
_FORGET_SECONDS = 7 * 24 * 3600.0


def sweep(settings: Settings) -> None:
    """Give a keeper to each dead run of this account; remove the directories of those with nothing left.

    Raises:
        pytest_agb.detach.DetachError: a keeper can't be started.
    """
    for run in list(rundir.base().iterdir()):
        if run.is_dir() and run.name != settings.run_id:
            with suppress(FileNotFoundError):  # its own server or another run removes it at this moment
                _end(run, settings)


def _end(run: Path, settings: Settings) -> None:
    with joining_lock():
        if members.any_alive(run / "members") or server_process.endpoint(run) is not None:
            return
        old = time.time() - run.stat().st_mtime > _FORGET_SECONDS  # opening its tables makes it new
        path = database_path(run)
        # A local server took its sessions with it. Without a table no create was ever sent.
        nothing_left = not path.exists() or (run / "sandboxes").exists()
        readable = not nothing_left and of_this_version(path)
        nothing_left = nothing_left or (not _slots_left(path) if readable else old)
        if nothing_left:
            shutil.rmtree(run)
            return
    if readable and settings.backend == CLOUD and account.same(run, settings):
        keeper.ensure(run, settings, linger_seconds=0.0)


def _slots_left(path: Path) -> bool:
    database = Database(path)
    try:
        return any(time.time() < slot.expires_at for slot in SlotTable(database).left())
    finally:
        database.close()
