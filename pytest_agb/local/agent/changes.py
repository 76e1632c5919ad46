"""What changed below a directory since the last look at it: the tool `get_file_change`.

A look compares the tree with the one before, so several writes between two looks are one change, and a
file that came and went is none. The first look at a directory is the baseline and reports nothing, which
is what agbcloud-sdk 0.12's ``watch_dir`` takes it for.
"""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from pytest_agb.local import tree
from pytest_agb.local.agent.paths import FileToolError, errors, shown

if TYPE_CHECKING:
    from pytest_agb.local.agent.paths import Place

#: Directories that one session may watch at a time; the one longest without a look is forgotten.
MAX_WATCHED = 64
#: Entries below one of them.
MAX_ENTRIES = 100_000

#: What tells one state of an entry from another. Of a directory only that it is there.
_State = tuple[object, ...]
_DIRECTORY: _State = ("directory",)


class Changes:
    """The watched directories of a session, as they were at the last look."""

    def __init__(self) -> None:
        self._seen: dict[str, dict[str, _State]] = {}

    def report(self, place: Place, arguments: dict[str, Any]) -> str:
        """Return a JSON array of ``{eventType, path, pathType}``: what changed since the last call.

        Raises:
            FileToolError: there is no such directory, or too much is in it.
        """
        path = arguments["path"]
        real = os.path.realpath(place.resolve(path))
        with errors(path):
            now = _look(real, path)
        before = self._seen.pop(real, None)
        self._seen[real] = now
        if len(self._seen) > MAX_WATCHED:
            del self._seen[next(iter(self._seen))]
        return json.dumps(_differences(path.rstrip("/"), before, now))


def _look(directory: str, path: str) -> dict[str, _State]:
    found: dict[str, _State] = {}
    for name, entry in tree.walk(directory):
        if entry.is_dir(follow_symlinks=False):
            found[name] = _DIRECTORY
        else:
            with contextlib.suppress(OSError):  # gone, or in a directory that may be read and not searched
                info = entry.stat(follow_symlinks=False)
                found[name] = (info.st_mtime_ns, info.st_ctime_ns, info.st_size, info.st_ino)
        if len(found) > MAX_ENTRIES:
            raise FileToolError(f"more than {MAX_ENTRIES} entries, too many to watch: {path}")
    return found


def _differences(base: str, before: dict[str, _State] | None, now: dict[str, _State]) -> list[dict[str, str]]:
    if before is None:
        return []
    events = []
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if old == new:
            continue
        same_kind = old is not None and new is not None and (old is _DIRECTORY) == (new is _DIRECTORY)
        if same_kind:
            kinds = [("modify", new)]
        else:
            kinds = [(kind, state) for kind, state in (("delete", old), ("create", new)) if state is not None]
        events += [
            {
                "eventType": kind,
                "path": f"{base}/{shown(name)}",
                "pathType": "directory" if state is _DIRECTORY else "file",
            }
            for kind, state in kinds
        ]
    return events
