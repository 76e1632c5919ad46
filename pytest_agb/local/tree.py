"""Directory trees, however deep, without recursion: walk one, make one. (`removal` removes one.)"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH102, PTH112, PTH118, PTH120

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def walk(
    directory: str, takes: Callable[[str], bool] = lambda name: True
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield everything below ``directory`` with its path relative to it. Links are not followed.

    What can't be read or is gone by then is left out, and so is what ``takes`` does not take, by that path:
    a directory with all that is in it.

    Raises:
        OSError: ``directory`` itself can't be read.
    """
    pending = [""]
    while pending:
        prefix = pending.pop()
        for entry in _entries(os.path.join(directory, prefix), required=not prefix):
            name = prefix + entry.name
            if not takes(name):
                continue
            if _is_directory(entry):
                pending.append(f"{name}/")
            yield name, entry


def _entries(directory: str, *, required: bool) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(directory) as entries:
            yield from entries
    except OSError:
        if required:
            raise


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # where the file system does not tell, in a directory that may be read and not searched
        return False


def make_directories(path: str) -> None:
    """Make a directory and those above it; one that is there already is fine. (`os.makedirs` recurses.)

    Raises:
        OSError: one can't be made.
    """
    missing = []
    while path and not os.path.isdir(path):
        missing.append(path)
        path = os.path.dirname(path.rstrip("/"))
    for directory in reversed(missing):
        try:
            os.mkdir(directory)
        except FileExistsError:
            # Of a file on the way the next one tells; a directory somebody else has made meanwhile.
            if directory == missing[0] and not os.path.isdir(directory):
                raise
