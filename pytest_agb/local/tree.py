"""Walk a directory tree in a sandbox."""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH118

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def walk(directory: str) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield everything below ``directory`` with its path relative to it. Links are not followed.

    What can't be read or is gone by then is left out.

    Raises:
        OSError: ``directory`` itself can't be read.
    """
    pending = [""]
    while pending:
        prefix = pending.pop()
        try:
            entries = os.scandir(os.path.join(directory, prefix))
        except OSError:
            if not prefix:
                raise
            continue
        with entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    pending.append(f"{name}/")
                yield name, entry
