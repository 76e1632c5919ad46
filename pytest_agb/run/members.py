"""Who is alive in a run: each of its processes holds a lock on a file of its own.

A process id deceives (it is reused, and another inside a container that shares the directory); a POSIX lock
(`fcntl.lockf`) ends with its process, however that ends, and is not inherited by a forked child.
It also ends when its process closes *any* descriptor of the file: a process never opens a file of its own
again, however many runs and members live in it, and who looks through the temp directory from within a test
can't read it, unless that is root.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from pytest_agb import real

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Role(StrEnum):
    """What a member does in its run."""

    #: It runs tests.
    PYTEST = "pytest"
    KEEPER = "keeper"
    #: The controller, as it waits to report the end.
    REPORTER = "reporter"


class Name(NamedTuple):
    """A member's name, unique on the host: what its role is is read from it here and nowhere else."""

    role: Role
    #: For people: an xdist worker's ID, which they may have chosen, or empty.
    title: str
    pid: int
    token: str

    @classmethod
    def new(cls, role: Role, title: str = "") -> Name:
        """A name for this process."""
        return cls(role, re.sub(r"[^\w.-]", "_", title)[:100], real.pid(), secrets.token_hex(4))

    @classmethod
    def parse(cls, text: str) -> Name:
        """Undo `str`.

        Raises:
            ValueError: it is no member's name.
        """
        first, _, rest = text.partition("-")
        *title, pid, token = rest.split("-")
        return cls(Role(first), "-".join(title), int(pid), token)

    def __str__(self) -> str:
        return "-".join(part for part in (self.role.value, self.title, str(self.pid), self.token) if part)

    @property
    def shown(self) -> str:
        """The member, for people who wait for what it holds."""
        return self.title or self.role.value


#: Held alone, or not at all.
_ALONE = fcntl.LOCK_EX | fcntl.LOCK_NB

#: The files that a process holds, by device and inode, each with the process's ID: a forked child holds none.
_HELD: dict[tuple[int, int], int] = {}


class Member:
    """This process's membership in a run, from its making to `leave`."""

    def __init__(self, directory: Path, role: Role, title: str = "") -> None:
        """Join the run whose members are in ``directory``; ``title`` is for people."""
        directory.mkdir(mode=0o700, exist_ok=True)
        self.name = str(Name.new(role, title))
        self._path = directory / self.name
        # Locked under a name that nobody looks at, then shown: a member is never seen unlocked.
        hidden = directory / f".{self.name}"
        self._descriptor = os.open(hidden, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o200)
        fcntl.lockf(self._descriptor, _ALONE)
        self._file = identity(os.fstat(self._descriptor))
        self._directory = identity(directory.stat())
        _HELD[self._file] = real.pid()
        hidden.rename(self._path)

    def lost(self) -> str:
        """Why this process is no member any more, though it has not left; empty if it is one."""
        if not self._holds():
            return "a test has closed file descriptors that are not its own (os.closerange, for example)"
        if self.removed():
            return f"the run's directory {self._path.parents[1]} was removed as it went on"
        return ""

    def removed(self) -> bool:
        """Whether somebody has removed the run's directory; by its path there may be another by now."""
        return not is_at(self._path.parent, self._directory)

    def leave(self) -> None:
        """End the membership."""
        _HELD.pop(self._file, None)
        real.unlink(self._path)
        if self._holds():  # else its number may be another file's by now
            real.System.close(self._descriptor)

    def _holds(self) -> bool:
        try:
            return identity(real.System.fstat(self._descriptor)) == self._file
        except OSError:
            return False


class Others:
    """The other members of a run, as one member sees them."""

    def __init__(self, directory: Path, own: str) -> None:
        self._directory = directory
        self._own = own

    def lives(self, member: str) -> bool:
        """Whether ``member`` is alive; one always is to itself."""
        try:
            return member == self._own or is_locked(self._directory / member)
        except FileNotFoundError:
            return False

    def any(self, *, users_only: bool = False) -> bool:
        """Whether another member is alive, or one that may run tests."""
        return any_alive(self._directory, but=self._own, users_only=users_only)


def any_alive(directory: Path, *, but: str = "", users_only: bool = False) -> bool:
    """Whether a process other than the member ``but`` is a member, or one that may run tests.

    Files of the dead are removed.
    """
    try:
        names = [entry.name for entry in os.scandir(directory) if not entry.name.startswith(".")]
        names = [name for name in names if name != but]
        if users_only:
            names = [name for name in names if _may_run_tests(name)]
    except FileNotFoundError:
        return False
    return any(_alive(directory / name) for name in names)


def _may_run_tests(name: str) -> bool:
    try:
        return Name.parse(name).role is Role.PYTEST
    except ValueError:  # not ours, and perhaps another version's: whoever lives there may
        return True


def _alive(path: Path) -> bool:
    try:
        if is_locked(path):
            return True
    except FileNotFoundError:
        return False
    path.unlink(missing_ok=True)
    return False


def is_locked(path: Path, *, _lock: Callable[[int, int], object] = fcntl.lockf) -> bool:
    """Whether a living process holds the lock on the file at ``path``. Tests wait by this, see `real`.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if _HELD.get(identity(real.System.stat(path))) == real.pid():
        return True
    # A pipe that somebody has put there has no end.
    descriptor = real.System.open(path, os.O_WRONLY | os.O_NONBLOCK)
    try:
        _lock(descriptor, _ALONE)
    except (BlockingIOError, PermissionError):  # POSIX allows either for "held by another"
        return True
    finally:
        real.System.close(descriptor)
    return False


def is_at(path: Path, file: tuple[int, int]) -> bool:
    """Whether ``path`` is that of the ``file`` with this device and inode."""
    try:
        return identity(real.System.stat(path)) == file
    except OSError:
        return False


def identity(status: os.stat_result) -> tuple[int, int]:
    """What tells a file from another one of the same name: its device and inode."""
    return status.st_dev, status.st_ino
