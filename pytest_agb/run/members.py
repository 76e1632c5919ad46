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
from contextlib import suppress
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
_FREE = fcntl.LOCK_UN

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
        with suppress(OSError):  # on a disk that is read-only by now it stays, and tells as much
            real.unlink(self._path)
        if self._holds():  # else its number may be another file's by now
            real.System.close(self._descriptor)

    def _holds(self) -> bool:
        try:
            return identity(real.System.fstat(self._descriptor)) == self._file
        except OSError:
            return False


class Others:
    """The other members of a run, as one process sees them for long.

    It keeps their files open, so that it can tell who lives when these were removed or can't be opened any
    more: to take the living for dead would cost them their sessions.
    """

    def __init__(self, directory: Path, own: str = "") -> None:
        self._directory = directory
        self._own = own
        #: The descriptor of each member's file.
        self._files: dict[str, int] = {}

    def lives(self, member: str) -> bool:
        """Whether ``member`` is alive; one always is to itself."""
        return member == self._own or self._is_locked(member)

    def any(self, *, users_only: bool = False) -> bool:
        """Whether another member is alive, or one that may run tests. Files of the dead are removed."""
        try:
            names = _names(self._directory)
        except OSError:
            names = set()
        names = (names | set(self._files)) - {self._own}
        return any(self._lives(name) for name in sorted(names) if not users_only or _may_run_tests(name))

    def _lives(self, name: str) -> bool:
        if self._is_locked(name):
            return True
        with suppress(OSError):  # on a disk that is read-only by now it stays
            (self._directory / name).unlink(missing_ok=True)
        return False

    def _is_locked(self, name: str) -> bool:
        if name not in self._files:
            path = self._directory / name
            try:
                if _HELD.get(identity(path.stat())) == real.pid():
                    return True
                self._files[name] = _open(path)
            except FileNotFoundError:
                return False
            except OSError:
                return _process_lives(name)
        if _is_held(self._files[name]):
            return True
        os.close(self._files.pop(name))
        return False


def any_alive(directory: Path, *, but: str = "", users_only: bool = False) -> bool:
    """Whether a process other than the member ``but`` is a member, or one that may run tests.

    Files of the dead are removed.
    """
    try:
        names = _names(directory) - {but}
    except FileNotFoundError:
        return False
    if users_only:
        names = {name for name in names if _may_run_tests(name)}
    return any(_alive(directory / name) for name in names)


def _names(directory: Path) -> set[str]:
    with os.scandir(directory) as entries:
        return {entry.name for entry in entries if not entry.name.startswith(".")}


def _may_run_tests(name: str) -> bool:
    try:
        return Name.parse(name).role is Role.PYTEST
    except ValueError:  # not ours, and perhaps another version's: whoever lives there may
        return True


def _process_lives(name: str) -> bool:
    """Whether there is a process with the ID of the member ``name``, which may be another one by now."""
    try:
        os.kill(Name.parse(name).pid, 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return True


def _alive(path: Path) -> bool:
    try:
        if is_locked(path):
            return True
    except FileNotFoundError:
        return False
    path.unlink(missing_ok=True)
    return False


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock on the file at ``path``.

    Raises:
        FileNotFoundError: there is no such file.
    """
    if _HELD.get(identity(real.System.stat(path))) == real.pid():
        return True
    descriptor = _open(path)
    try:
        return _is_held(descriptor)
    finally:
        real.System.close(descriptor)


def _open(path: Path) -> int:
    # A pipe that somebody has put there has no end.
    return real.System.open(path, os.O_WRONLY | os.O_NONBLOCK)


def _is_held(descriptor: int, *, _lock: Callable[[int, int], object] = fcntl.lockf) -> bool:
    """Whether a living process holds the lock. Tests wait by this, see `real`."""
    try:
        _lock(descriptor, _ALONE)
    except (BlockingIOError, PermissionError):  # POSIX allows either for "held by another"
        return True
    _lock(descriptor, _FREE)
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
