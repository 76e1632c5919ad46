"""The agent's end of what the server reads from and writes to a sandbox on its own account.

Callers of the API can't name these tools: `tools.check` does not know them.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH105, PTH108, PTH118, PTH120

from __future__ import annotations

import base64
import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from pytest_agb.local import tree
from pytest_agb.local.agent.paths import FileToolError, errors

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.local.agent.paths import Place

#: Files below one directory.
MAX_FILES = 500_000


def list_tree(place: Place, arguments: dict[str, Any]) -> str:
    """Return a JSON array of ``[path, bytes, modified in ns, mode]`` of the regular files below ``path``."""
    path = arguments["path"]
    found = []
    with errors(path):
        for name, entry in tree.walk(place.resolve(path)):
            with contextlib.suppress(OSError):  # gone, or in a directory that may be read and not searched
                if entry.is_file(follow_symlinks=False):
                    info = entry.stat(follow_symlinks=False)
                    found.append((name, info.st_size, info.st_mtime_ns, info.st_mode))
            if len(found) > MAX_FILES:
                raise FileToolError(f"more than {MAX_FILES} files: {path}")
    return json.dumps(found)


def put_file(place: Place, arguments: dict[str, Any]) -> str:
    """Write one piece, base64 in ``data``, of a file; with ``done`` the whole takes its place at ``path``.

    ``done`` is ``[mode, modified in ns]``. Until then the file is hidden, so nobody sees half of it.
    """
    path, done = arguments["path"], arguments.get("done")
    real = place.resolve(path, making=True)
    part = os.path.join(place.temporary, f".incoming-{hash(real) & 0xFFFFFFFFFFFF:x}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    if arguments["offset"] == 0:
        flags |= os.O_TRUNC
    with errors(path):
        descriptor = os.open(part, flags, 0o600)
        try:
            view = memoryview(base64.b64decode(arguments["data"]))
            offset = arguments["offset"]
            while view:
                written = os.pwrite(descriptor, view, offset)
                view, offset = view[written:], offset + written
            if done is not None:
                mode, modified = done
                os.fchmod(descriptor, mode & 0o777)
                os.utime(descriptor, ns=(modified, modified))
                tree.make_directories(os.path.dirname(real))
                os.replace(part, real)
        except OSError:
            os.unlink(part)
            raise
        finally:
            os.close(descriptor)
    return ""


TOOLS: dict[str, Callable[[Place, dict[str, Any]], str]] = {"list_tree": list_tree, "put_file": put_file}
