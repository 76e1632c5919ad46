"""What the end of a run leaves on this host: nothing, unless a session may still be alive."""

from __future__ import annotations

import shutil

from pytest_agb import rundir
from pytest_agb.pool import members, server_process
from pytest_agb.pool.slots import SlotTable


def tidy_up(run_id: str) -> None:
    """Remove the run's directory if the run is over and nothing of it is left.

    A local server ends by itself when the last member is gone, and takes the directory with it.
    """
    run = rundir.path(run_id)
    with server_process.joining_lock():
        if not run.is_dir() or members.any_alive(run / "members") or server_process.is_running(run):
            return
        if (run / "slots.sqlite3").exists():
            slots = SlotTable(run / "slots.sqlite3")
            left = slots.left()
            slots.close()
            if left:
                return
        shutil.rmtree(run)
