"""Where a run keeps its state on this host: one directory per user, in it one per run.

Standard library only: the controller looks here at the end of every run, whether it used sessions or not.

::

    <temp directory>/pytest-agb-<user id>/     mode 0700, ours
        joining.lock                           held while a process joins a run or removes its directory
        ended_<run id>-<random>/               a run's directory that is being removed
        set-aside_*/, notes/                   what could not be, and what to tell of it: `run/aside.py`
        sweep.log                              what the process printed that looks after earlier runs
        <run id>/
            members/                           a locked file for each living process of the run
            account.json                       which account's sessions these are, without the key
            slots.sqlite3                      the sessions
            told-*                             which test has an error in full that others share
            keeper.lock, keeper.json, keeper.alive, keeper.log, keeper.restarts    the run's keeper; its lock
                                           and pulse (`run/pulse.py`) are in keeper.alive
            server.lock, server.json, server.alive, server.log, sandboxes/    the run's local server
"""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from pytest_agb import real

#: Not there on Windows. Under a name of our own: tests patch `os.getuid`.
_getuid = getattr(os, "getuid", None)

#: The names in the directory that are no run's, or begin as none can: a run ID has no underscore.
ENDED = "ended_"
SET_ASIDE = "set-aside_"
NOTES = "notes"

#: The longest path that SQLite takes, in bytes, and the longest name that it has in a run's directory.
_SQLITE_BYTES = 512
_SQLITE_FILE = "slots.sqlite3-journal"


class RunDirectoryError(OSError):
    """The user's directory can't be trusted; the message names it and the remedy."""


def temp_directory() -> str:
    """This process's temp directory, an absolute path. A test may change it: ask before there are tests."""
    try:
        found = tempfile.gettempdir()
    except (
        FileNotFoundError
    ):  # not even the working directory can be written; who needs one is told, see below
        found = os.environ.get("TMPDIR", "/tmp")
    return os.path.abspath(found)  # noqa: PTH100  # TMPDIR=. is given as it is


def unfit(run_id: str, temp: str = "") -> str:
    """Why a run can't keep its files in the temp directory ``temp``, and what to do; empty if it can."""
    temp = temp or temp_directory()
    excess = len(os.fsencode(f"{_base(temp)}/{run_id}/{_SQLITE_FILE}")) - _SQLITE_BYTES
    if excess > 0:
        return (
            f"the temp directory {temp[:60]}… is {excess} bytes too long for the run's files (SQLite takes "
            f"paths of {_SQLITE_BYTES} bytes); set TMPDIR to a shorter one"
        )
    if not os.access(temp, os.W_OK | os.X_OK):
        return f"the temp directory {temp} can't be written; set TMPDIR to one that can"
    return ""


def base(temp: str = "") -> Path:
    """The user's directory below ``temp``, which may not exist yet.

    Here as below, without ``temp`` it is in this process's temp directory, which a run's background processes
    have from the run.
    """
    return Path(_base(temp))


def _base(temp: str) -> str:
    assert _getuid is not None
    return f"{temp or temp_directory()}/pytest-agb-{_getuid()}"


def path(run_id: str, temp: str = "") -> Path:
    """The directory of a run, which may not exist yet."""
    return base(temp) / run_id


def temp_of(run: Path) -> str:
    """The temp directory that a run's directory is in."""
    return str(run.parent.parent)


def is_run(name: str) -> bool:
    """Whether a directory of that name in the user's is a run's, ended ones included."""
    return name != NOTES and not name.startswith(SET_ASIDE)


def retire(run: Path) -> Path:
    """Give the directory of a run that is over another name, under which nobody joins; return its path.

    Call it under the joining lock. What is removed after that may take its time.
    """
    if run.name.startswith(ENDED):
        return run
    # A run before may have had the same ID, and its directory still be there.
    return run.rename(run.with_name(f"{ENDED}{run.name}-{os.urandom(4).hex()}"))


def exists(run_id: str, temp: str = "") -> bool:
    """Whether any process of the run has needed state on this host."""
    # No `Path`: this is asked after every test, and makes up most of what a run without sessions pays.
    return _getuid is not None and real.exists(f"{_base(temp)}/{run_id}")


def place(temp: str = "") -> str:
    """Name the user's directory on this host as no other host's is named, though that has the same path."""
    return f"{os.uname().nodename} {real.boot_id()} {base(temp)}"  # names of hosts are not unique


def make_base(temp: str = "") -> Path:
    """Make the user's directory, or see that it is the user's own.

    Raises:
        RunDirectoryError: somebody else's directory, or a link, has its name. On a shared temp directory
            anyone may have put it there.
    """
    directory = base(temp)
    directory.mkdir(mode=0o700, exist_ok=True)
    found = directory.lstat()
    if stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o022:
        directory.chmod(0o700)  # filelock makes it again, for all to read, where a test has removed it
        found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise RunDirectoryError(
            f"{directory} is not a directory that only you can use; remove it or set TMPDIR"
        )
    return directory
