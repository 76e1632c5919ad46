"""Remove a directory tree that somebody else's code has made, whatever it made of it.

`shutil.rmtree` stops at a directory that may not be written, as Go's module cache has them, and recurses
into a deep one. Here a tree may have any modes, any depth, names of any bytes, paths longer than system calls
take, and files that still appear. Only what the system itself refuses is left: another user's files,
immutable ones, mount points. Links are removed, never followed.

Standard library only, and below all other modules: `local/` uses it too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Looks at a tree in which something still appears, or moves.
_PASSES = 5
#: Characters of a path that are shown.
_SHOWN = 200


class Left(NamedTuple):
    """What could not be removed."""

    #: The first of it, relative to the tree.
    path: str
    #: What the system said.
    reason: str

    def __str__(self) -> str:
        path = os.fsencode(self.path).decode("utf-8", "backslashreplace").replace("\n", "\\n")
        if len(path) > _SHOWN:
            path = f"…{path[-_SHOWN:]}"
        return f"{path}: {self.reason}"


def remove_tree(directory: Path | str) -> Left | None:
    """Remove a directory with all that is in it; return what is left, ``None`` if nothing is.

    A directory that is not there is removed. A link, or a file, is left.
    """
    path = os.path.abspath(directory)  # noqa: PTH100
    left = None
    for _ in range(_PASSES):
        removing = _Removing()
        removing.run(path)
        left = removing.left
        if not removing.again:
            break
    return left


class _Level(NamedTuple):
    """A directory on the way from the top to the one that is being emptied."""

    name: str
    #: By this it is known when the way leads back to it.
    identity: tuple[int, int]
    #: The directories in it that are still to be emptied.
    pending: list[str]


class _Removing:
    """One pass over a tree: down by names, up by ``..``, with two or three open descriptors at any depth."""

    def __init__(self) -> None:
        self.left: Left | None = None
        #: Whether another pass may remove what is left.
        self.again = False
        self._levels: list[_Level] = []

    def run(self, path: str) -> None:
        parent, name = os.path.split(path)
        try:
            descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        except OSError as error:
            self._leave("", error)
            return
        try:
            if self._is_removed(name, descriptor):
                return
            self._levels.append(_Level("", _identity(descriptor), [name]))
            while self._levels:
                pending = self._levels[-1].pending
                descriptor = self._enter(pending.pop(), descriptor) if pending else self._go_up(descriptor)
        except OSError as error:  # somebody has moved what we are in
            self._leave("", error)
            self.again = True
        finally:
            os.close(descriptor)

    def _enter(self, name: str, parent: int) -> int:
        """Remove the files of a directory; return the descriptor to go on with: its own, or the parent's."""
        try:
            descriptor = _open(name, parent)
        except FileNotFoundError:  # somebody else removes it, too
            return parent
        except OSError as error:
            self._leave(name, error)
            return parent
        try:
            # Before anything depends on it: is there a way back?
            if _identity("..", descriptor) != self._levels[-1].identity:
                raise _moved()
            level = _Level(name, _identity(descriptor), [])
        except OSError as error:
            self._leave(name, error)
            os.close(descriptor)
            return parent
        os.close(parent)
        self._levels.append(level)
        self._remove_files(descriptor, level.pending)
        return descriptor

    def _remove_files(self, descriptor: int, pending: list[str]) -> None:
        """Remove what a directory holds but for directories with something in them: those are ``pending``."""
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    if not entry.is_dir(follow_symlinks=False):
                        self._remove_file(entry.name, descriptor)
                    elif not self._is_removed(entry.name, descriptor):
                        pending.append(entry.name)
        except FileNotFoundError:  # somebody else removes it, too
            pass
        except OSError as error:
            self._leave("", error)

    def _remove_file(self, name: str, parent: int) -> None:
        try:
            os.unlink(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._leave(name, error)

    def _is_removed(self, name: str, parent: int) -> bool:
        """Remove a directory if it is empty; false if it must be emptied first.

        This tells a mount point too, also one whose file system is the same: the kernel says that it is busy.
        """
        try:
            os.rmdir(name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                return False
            self._leave(name, error)
        return True

    def _go_up(self, descriptor: int) -> int:
        """Leave a directory that was emptied as far as that can be, and remove it; return the parent's."""
        level = self._levels.pop()
        if not self._levels:
            return descriptor
        parent = os.open("..", _DIRECTORY, dir_fd=descriptor)
        if _identity(parent) != self._levels[-1].identity:
            os.close(parent)
            raise _moved()
        os.close(descriptor)
        try:
            os.rmdir(level.name, dir_fd=parent)
        except FileNotFoundError:
            pass
        except OSError as error:
            # Not empty: of what could not be removed, or of what has come since.
            self.again = self.again or self.left is None
            self._leave(level.name, error)
        return parent

    def _leave(self, name: str, error: OSError) -> None:
        if self.left is None:
            # The first level is the directory that the tree is in, the second its top.
            below = [*(level.name for level in self._levels[1:]), name][1:]
            self.left = Left("/".join(part for part in below if part) or ".", error.strerror or str(error))


def _moved() -> OSError:
    return OSError(errno.ESTALE, "it was moved while it was removed")


def _identity(place: int | str, descriptor: int | None = None) -> tuple[int, int]:
    info = os.stat(place, dir_fd=descriptor)
    return info.st_dev, info.st_ino


def _open(name: str, parent: int) -> int:
    """Open a directory, which its owner may read, write and search from now on."""
    try:
        descriptor = os.open(name, _DIRECTORY, dir_fd=parent)
    except PermissionError:
        _allow(name, parent)
        return os.open(name, _DIRECTORY, dir_fd=parent)
    mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(OSError):  # another user's: whether we may do without shows next
            os.fchmod(descriptor, mode | stat.S_IRWXU)
    return descriptor


def _allow(name: str, parent: int) -> None:
    """Give the owner of a directory all rights to it, though it can't be opened."""
    if os.chmod in os.supports_follow_symlinks:
        os.chmod(name, stat.S_IRWXU, dir_fd=parent, follow_symlinks=False)
        return
    # Linux changes no mode without following links, but that of a descriptor that stands for the place alone.
    descriptor = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.chmod(f"/proc/self/fd/{descriptor}", stat.S_IRWXU)  # noqa: PTH101
    finally:
        os.close(descriptor)
