"""A small disk in the place of a directory, for a command and what it starts: in a mount namespace."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import pytest

#: For a shell: to use up all room, all but 8 KB of it, and all but nine of the inodes.
FILL = "cat /dev/zero > filler 2> /dev/null; true"
NEARLY_FILL = f"{FILL}; truncate -s -8192 filler"
CRUMBLE = "n=0; while true > crumb$n; do n=$((n + 1)); done 2> /dev/null; rm crumb?"
#: For a shell within `on_a_small_disk`: its working directory is read-only from now on.
SEAL = 'mount --bind . . && mount -o remount,bind,ro "$PWD"'


@functools.cache
def _obstacle() -> str:
    mount = ["unshare", "-Urm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return subprocess.run(mount, capture_output=True, text=True).stderr.strip()


def on_a_small_disk(directory: Path, *, inodes: int = 1000, first: str = "true") -> tuple[str, ...]:
    """A command prefix: ``directory`` is a disk of 1 MB with so many inodes, in which ``first`` is done."""
    if _obstacle():
        pytest.skip(f"no mount namespaces for ordinary users on this machine: {_obstacle()}")
    mount = f'mount -t tmpfs -o size=1m,nr_inodes={inodes},mode=700 tmpfs "$0"'
    return ("unshare", "-Urm", "sh", "-c", f'{mount} && (cd "$0"; {first}) && exec "$@"', str(directory))
