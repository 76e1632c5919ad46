"""Find files by glob pattern, below a directory."""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH119

from __future__ import annotations

import fnmatch
import itertools
import os

from pytest_agb.local import tree

#: Matches that one search returns at most.
MAX_MATCHES = 10_000


def find(directory: str, pattern: str, exclude: list[str]) -> list[str]:
    """Return the paths below ``directory``, relative to it and sorted, that match.

    A pattern without ``/`` is matched against names, at any depth; one with ``/`` against the relative
    path, where ``**/`` stands for any number of directories. What an exclude pattern matches is left out,
    a directory with all that is in it. Links are not followed.
    """
    everything = tree.walk(directory, lambda path: not any(_matches(path, one) for one in exclude))
    matching = (path for path, _ in everything if _matches(path, pattern))
    return sorted(itertools.islice(matching, MAX_MATCHES))


def _matches(path: str, pattern: str) -> bool:
    if "/" not in pattern:
        return fnmatch.fnmatchcase(os.path.basename(path), pattern)
    pattern = pattern.lstrip("/")
    # fnmatch's `*` crosses slashes, which is what `**` asks for; `**/x` must match a plain `x` too.
    return fnmatch.fnmatchcase(path, pattern) or (pattern.startswith("**/") and _matches(path, pattern[3:]))
