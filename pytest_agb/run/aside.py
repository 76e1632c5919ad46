"""What an earlier run leaves is no matter of later ones: what can't be removed is set aside, and told once.

In the user's directory, see `run_directory`::

    set-aside_<name>-<random>    what could not be removed
    notes/<key>.new              a line that nobody has been told yet
    notes/<key>.told             ... that the end of a run has told
"""

from __future__ import annotations

import secrets
import sys
from typing import TYPE_CHECKING

from pytest_agb.removal import Left, remove_tree
from pytest_agb.run import run_directory
from pytest_agb.wall_clock import wall_seconds

if TYPE_CHECKING:
    from pathlib import Path


def remove(directory: Path) -> None:
    """Remove a directory, whatever is in it, and set aside what can't be removed."""
    left = remove_tree(directory)
    if left is not None:
        set_aside(directory, left)


def set_aside(directory: Path, left: Left) -> None:
    """Move a directory, of which ``left`` could not be removed, to where nobody looks for runs."""
    # Not into a directory for such: that takes the right to write to what is moved, which may be root's.
    name = directory.name.removeprefix(run_directory.ENDED)
    target = run_directory.base() / f"{run_directory.SET_ASIDE}{name[:100]}-{secrets.token_hex(4)}"
    try:
        directory.rename(target)
    except FileNotFoundError:
        return  # somebody else has removed it, or set it aside
    except OSError as error:
        note(directory.name, f"{directory} can neither be removed ({left}) nor set aside ({error.strerror})")
        return
    note(target.name, f"{target} could not be removed and was set aside ({left}); delete it by hand")


def note(key: str, line: str) -> None:
    """Have the next end of a run tell people ``line``; once, whoever finds the same under this ``key``."""
    notes = run_directory.base() / run_directory.NOTES
    try:
        notes.mkdir(mode=0o700, exist_ok=True)
        if not (notes / f"{key}.told").exists():
            part = notes / f"{key}.part-{secrets.token_hex(4)}"
            part.write_text(line, encoding="utf-8", errors="backslashreplace")
            part.rename(notes / f"{key}.new")
    except OSError as error:
        print(f"pytest-agb: {line!a} (and can't be noted: {error})", file=sys.stderr, flush=True)


def take_notes(temp: str = "") -> list[str]:
    """Return the lines that nobody was told yet; nobody else gets them."""
    lines = []
    for new in sorted((run_directory.base(temp) / run_directory.NOTES).glob("*.new")):
        told = new.with_suffix(".told")
        try:
            new.rename(told)
            lines.append(told.read_text(encoding="utf-8", errors="backslashreplace"))
        except OSError:  # another run tells it, or it is no note of ours
            continue
    return lines


def forget_notes(older_than_seconds: float) -> None:
    """Remove the notes that were told long ago."""
    for path in (run_directory.base() / run_directory.NOTES).glob("*.told"):
        try:
            if wall_seconds() - path.lstat().st_mtime > older_than_seconds:
                path.unlink()
        except OSError:  # another run does this too, or it is no note of ours
            continue
