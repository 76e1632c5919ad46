"""What sandboxes see of this machine, read-only: its programs and their settings."""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH112, PTH113, PTH118, PTH208

from __future__ import annotations

import os
import stat
import sys

_OTHERS = stat.S_IROTH | stat.S_IXOTH


def system_folders() -> list[str]:
    """Return the folders that hold this machine's programs; some may be links to others."""
    found = [path for path in ("/usr", "/etc", "/nix/store") if os.path.isdir(path)]
    for name in sorted(os.listdir("/")):
        if name in ("bin", "sbin") or name.startswith("lib"):
            path = os.path.join("/", name)
            if os.path.isdir(path):
                found.append(path)
    return found


def python_prefixes() -> list[str]:
    """Return where this Python and its virtual environment live, as spelled and as they really are."""
    spelled = [sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix]
    found = dict.fromkeys(spelled + [os.path.realpath(path) for path in spelled])
    paths = [path for path in found if os.path.isdir(path)]
    # A folder inside one that is there is there already.
    outermost = (p for p in paths if not any(p != o and p.startswith(o.rstrip("/") + "/") for o in paths))
    # So is one inside a system folder.
    return sorted(p for p in outermost if not f"{p}/".startswith(("/usr/", "/nix/store/")) and p != "/")


def resolver_file() -> list[str]:
    """Return the file that names the name servers, unless a system folder has it."""
    path = os.path.realpath("/etc/resolv.conf")
    return [] if path.startswith(("/etc/", "/usr/")) or not os.path.isfile(path) else [path]


def readable_by_all(folder: str) -> list[str]:
    """Return what of ``folder`` every user may read: the folder itself, or the parts that have no secret."""
    parts: list[str] = []
    return [folder] if _is_open(folder, parts) else parts


def _is_open(path: str, parts: list[str]) -> bool:
    """Whether all of ``path`` is; if only some of it is, add that to ``parts``."""
    try:
        mode = os.lstat(path).st_mode
        if not stat.S_ISDIR(mode):
            return bool(mode & stat.S_IROTH)
        if mode & _OTHERS != _OTHERS:
            return False
        names = os.listdir(path)
    except OSError:
        return False
    inner: list[str] = []
    found = [name for name in names if _is_open(f"{path}/{name}", inner)]
    if len(found) == len(names):
        return True
    parts += [*inner, *(f"{path}/{name}" for name in found)]
    return False
