"""The files of one context: an object store's view of a directory.

A file's key is the absolute path that it has in sessions, ``/tmp/data/a.txt``: agbcloud-sdk 0.12's examples
list what a session left at ``/tmp/data`` by that path. On disk it is ``tmp/data/a.txt`` below the context's
directory, and no key leads out of there. There are no links and no empty folders.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from pytest_agb.local import tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

#: Bytes of a key, and of a name in it: what file systems take.
_MAX_KEY_BYTES, _MAX_NAME_BYTES = 4000, 255


class ContextFileError(ValueError):
    """A file of a context can't be had or made; the message names it."""


class ContextFileNotFoundError(ContextFileError):
    """There is no such file."""


def clean(path: str, *, folder: bool = False) -> str:
    """Return the key that ``path`` means: it starts with ``/`` and has no empty part, no ``.``, no ``..``.

    With ``folder`` the root, ``/``, is one too, as which an empty path is taken.

    Raises:
        ContextFileError: it leads out of the context, names nothing, or is no name for a file.
    """
    parts = [part for part in path.split("/") if part not in ("", ".")]
    key = "/" + "/".join(parts)
    if ".." in parts:
        raise ContextFileError(f"the path leads out of its context: {path[:300]}")
    if not parts and not folder:
        raise ContextFileError(f"the path names no file: {path[:300]!r}")
    try:
        too_long = len(os.fsencode(key)) > _MAX_KEY_BYTES or any(
            len(os.fsencode(part)) > _MAX_NAME_BYTES for part in parts
        )
    except UnicodeEncodeError:
        raise ContextFileError(f"no path for a file: {path[:300]!a}") from None
    if "\0" in path or too_long:
        raise ContextFileError(f"no path for a file, it has a NUL or is too long: {path[:300]!a}")
    return key


@dataclass(frozen=True)
class Entry:
    """A file, or a folder with files in it. Times are Unix times: modified in ns, stored in s."""

    key: str
    is_folder: bool
    size: int
    mode: int
    modified_ns: int
    stored: float


class ContextFiles:
    """The files below ``root``; new ones are written in ``incoming``, on the same file system."""

    def __init__(self, root: Path, incoming: Path) -> None:
        self._root = root
        self._incoming = incoming
        # A folder goes with its last file, and must not while the next one is put into it.
        self._moving = threading.Lock()

    def place(self, key: str) -> Path:
        """Return where the file of ``key`` is, or would be.

        Raises:
            ContextFileError: somebody has put a link there that leads out.
        """
        root = self._root.resolve()
        path = root.joinpath(*clean(key, folder=True)[1:].split("/"))
        if not path.resolve().is_relative_to(root):
            raise ContextFileError(f"the path leads out of its context: {key}")
        return path

    def read(self, key: str) -> IO[bytes]:
        """Open a file.

        Raises:
            ContextFileNotFoundError, ContextFileError
        """
        try:
            return self.place(key).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ContextFileNotFoundError(f"File [{key}] is not found in the context") from None

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[IO[bytes]]:
        """Write a file: nobody sees it before it is whole, and nothing is left if that fails.

        Raises:
            ContextFileError: the key can't be a file's because of another file.
        """
        target = self.place(clean(key))
        self._incoming.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = self._incoming / secrets.token_hex(12)
        try:
            with part.open("xb") as file:
                yield file
            with self._moving:
                if not self._root.parent.is_dir():
                    raise ContextFileNotFoundError(f"the context of {key} was deleted meanwhile")
                try:
                    tree.make_directories(str(target.parent))
                    part.replace(target)
                except (FileExistsError, NotADirectoryError):
                    raise ContextFileError(f"a part of the path is a file already: {key}") from None
                except IsADirectoryError:
                    raise ContextFileError(f"is a folder already: {key}") from None
        finally:
            part.unlink(missing_ok=True)

    def set_attributes(self, file: IO[bytes], mode: int, modified_ns: int) -> None:
        """Give a file that is being written the permissions and time that it has in its session."""
        file.flush()
        os.fchmod(file.fileno(), stat.S_IMODE(mode) & 0o777 | 0o600)  # ours to read in any case
        os.utime(file.fileno(), ns=(modified_ns, modified_ns))

    def delete(self, key: str) -> None:
        """Delete a file, and the folders that are empty then.

        Raises:
            ContextFileNotFoundError, ContextFileError
        """
        path = self.place(clean(key))
        with self._moving:
            try:
                path.unlink()
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
                # macOS says of a folder that its deletion is not permitted.
                raise ContextFileNotFoundError(f"File [{key}] is not found in the context") from None
            root = self._root.resolve()
            for folder in path.parents:
                if folder == root:
                    break
                try:
                    folder.rmdir()
                except OSError:
                    break

    def folder(self, path: str) -> list[Entry]:
        """Return the files and folders that are directly in a folder, by name; none if there is none."""
        key = clean(path, folder=True)
        base = "" if key == "/" else key
        try:
            entries = os.scandir(self.place(key))
        except (FileNotFoundError, NotADirectoryError):
            return []
        found = []
        with entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                    if not entry.is_symlink():
                        found.append(_entry(f"{base}/{entry.name}", entry))
        return sorted(found, key=lambda entry: entry.key)

    def below(self, path: str) -> dict[str, Entry]:
        """Return all files below a folder, by their path relative to it."""
        key = clean(path, folder=True)
        found: dict[str, Entry] = {}
        pending = [key]
        while pending:
            for entry in self.folder(pending.pop()):
                if entry.is_folder:
                    pending.append(entry.key)
                else:
                    found[entry.key[len(key) :].lstrip("/")] = entry
        return found


def _entry(key: str, found: os.DirEntry[str]) -> Entry:
    info = found.stat(follow_symlinks=False)
    is_folder = found.is_dir(follow_symlinks=False)
    size = 0 if is_folder else info.st_size
    return Entry(key, is_folder, size, stat.S_IMODE(info.st_mode), info.st_mtime_ns, info.st_ctime)
