"""Which paths a session may name, and what it is told of one that is closed or leads nowhere.

A program's "Permission denied" does not tell that /tmp is the machine's: `explain_denials` does.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH112, PTH117, PTH118, PTH120

from __future__ import annotations

import contextlib
import errno
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

#: Where programs put what is for a while, all of it the machine's where namespaces are not to be had.
_TEMPORARY = ("/tmp/", "/var/tmp/", "/dev/shm/")

_DENIED = re.compile(r"permission denied|EACCES", re.IGNORECASE)
#: An absolute path; not the end of a relative one.
_PATH = re.compile(r"(?<![\w.~/-])/[^\s'\"\u2019:;,()<>|&]*")
#: Reasons that one answer gives at most.
_MAX_REASONS = 3


class FileToolError(Exception):
    """A file tool's refusal. The message names the path."""


class Place:
    """Where the session's files are, and which paths it may name.

    With namespaces the root is the session's own, and the kernel keeps it in. Without, the session has a
    directory: ``/tmp/x`` and ``/home/user/x`` are found inside it, and outside only what is ``readable`` can
    be named.
    """

    def __init__(self, directory: str | None, home: str, readable: Sequence[str] = ()) -> None:
        self._virtual = {"/tmp": "tmp", home: "home"}
        self._readable = [os.path.realpath(path) for path in readable]
        self.directory = os.path.realpath(directory) if directory is not None else None
        #: Whether the session's files are more or larger than they may be.
        self.is_full: Callable[[], bool] = lambda: False
        if self.directory is None:
            self.home, self.temporary = home, "/tmp"
        else:
            self.home = os.path.join(self.directory, "home")
            self.temporary = os.path.join(self.directory, "tmp")

    def resolve(self, path: str, *, follow: bool = True, making: bool = False) -> str:
        """Return the real path for ``path``.

        ``follow=False`` is for what acts on a link itself: the link must lie inside, its target need not.
        ``making`` is for what makes the directories on the way: ``missing/..`` leads nowhere otherwise.

        Raises:
            FileToolError: the path is empty, no path at all, or leads out of the session's directory.
        """
        if not path or "\0" in path:
            raise FileToolError(f"invalid path: {path!r}")
        at_home = path == "~" or path.startswith("~/")
        real = self.home + path[1:] if at_home else os.path.join(self.home, path)
        if self.directory is None:
            return real
        # What is spelled as a real path, ours or another session's, is meant as one.
        spelled_out = os.path.normpath(path).startswith(os.path.dirname(self.directory) + os.sep)
        if os.path.isabs(path) and not spelled_out:
            for prefix, name in self._virtual.items():
                if path == prefix or path.startswith(prefix + "/"):
                    real = os.path.join(self.directory, name) + path[len(prefix) :]
        parent, name = os.path.split(real)
        follow = follow or name in ("", ".", "..")
        resolved = _real(real) if follow else os.path.join(_real(parent), name)
        if not self._is_open(resolved):
            raise FileToolError(f"permission denied: {self._outside(path)}")
        if not making and not _steps_back_exist(real):
            raise FileToolError(f"not found: {path}")
        return resolved

    def _is_open(self, real: str) -> bool:
        assert self.directory is not None
        return any(f"{real}/".startswith(f"{folder}/") for folder in (self.directory, *self._readable))

    def why_closed(self, path: str) -> str:
        """Return why Landlock keeps commands from an absolute path, ``""`` if it does not."""
        closed = self._readable and not self._is_open(_real(path))
        return self._outside(path) if closed else ""

    def _outside(self, path: str) -> str:
        if not self._readable:
            return f"{path} is outside of the session's directory"
        if f"{os.path.normpath(path)}/".startswith(_TEMPORARY):
            return f"{path}: /tmp is not private here; use $TMPDIR (file calls: /tmp) or a relative path"
        return f"{path} is outside of the session's directory and the system's folders"


def _real(path: str) -> str:
    try:
        return os.path.realpath(path)
    except OSError:  # another process's link in /proc, closed to us
        return os.path.normpath(path)


def _steps_back_exist(path: str) -> bool:
    """Return whether each ``..`` leaves a directory that is there. The kernel asks, `os.path` does not."""
    parts = path.split("/")
    return all(os.path.isdir("/".join(parts[:n])) for n, part in enumerate(parts) if part == "..")


@contextlib.contextmanager
def errors(path: str) -> Iterator[None]:
    """Turn the system's errors into ones that say what the user asked for."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            text = f"not found: {path}"
        elif error.errno == errno.EISDIR:
            text = f"is a directory: {path}"
        elif error.errno in (errno.EACCES, errno.EPERM):
            text = f"permission denied: {path}"
        elif error.errno == errno.EEXIST:
            text = f"already exists: {path}"
        elif error.errno == errno.ENOSPC:
            text = f"no space left in the sandbox: {path}"
        else:
            text = f"{error.strerror or error}: {path}"
        raise FileToolError(text) from error


def shown(name: str) -> str:
    """Return a file name as a line of text: any bytes are a name, not all are UTF-8, and some break lines."""
    return os.fsencode(name).decode("utf-8", "replace").replace("\n", "\ufffd")


def explain_denials(place: Place, complaints: str) -> str:
    """Return a line for each path that a program complains of and that is closed; ``""`` if there is none."""
    lines = [line for line in complaints.splitlines() if _DENIED.search(line)]
    found = (path for line in lines for path in _PATH.findall(line))
    # The shell's names for connections are no paths.
    paths = dict.fromkeys(path for path in found if not path.startswith(("/dev/tcp/", "/dev/udp/")))
    reasons = [reason for path in paths if (reason := place.why_closed(path))]
    return "".join(f"pytest-agb: {reason}\n" for reason in reasons[:_MAX_REASONS])
