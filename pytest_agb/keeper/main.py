"""The keeper's process: started detached, by whoever of the run first needs one."""

from __future__ import annotations

import math
import resource
import signal
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_agb.keeper import leftovers
from pytest_agb.keeper.keeper import Keeper, KeeperSettings
from pytest_agb.run import keeper_process, run_directory
from pytest_agb.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Descriptors for all but calls: the state, locks, the log, members.
_OTHER_FILES = 30


def main(payload: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Be the keeper, in a detached process."""
    # Who stops a whole unit or login (systemd, a shutdown) asks all of its processes at once. Pytest ends
    # then, and this process soon after it, with all deleted.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    run = Path(payload["run"])
    place = keeper_process.place(run)
    beat = place.live()
    durations = _within(_open_files())
    if payload["linger_seconds"] is not None:
        durations = replace(durations, linger_seconds=payload["linger_seconds"])
    settings = Settings.from_wire(payload["settings"])
    keeper = Keeper(run, settings, durations=durations, beat=beat)
    place.ready({})
    report({})
    if run == run_directory.path(settings.run_id):  # else it is an earlier run's keeper itself
        # No daemon: the shortest run sees to it that the sweep begins.
        threading.Thread(target=leftovers.start, args=(settings,)).start()
    keeper.run()


def _open_files() -> float:
    """How many files this process may have open: as many as it may allow itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return math.inf if hard == resource.RLIM_INFINITY else hard


def _within(open_files: float) -> KeeperSettings:
    """As many calls at once as there are descriptors for: each has a connection."""
    most = KeeperSettings()
    if open_files - _OTHER_FILES >= most.creates + most.calls:
        return most
    room = max(4, int(open_files) - _OTHER_FILES)
    calls = max(2, room // 4)
    return replace(most, calls=min(most.calls, calls), creates=min(most.creates, room - calls))
