"""What files hold, those of ``/proc`` too."""

from __future__ import annotations

from pathlib import Path


def contents(*paths: Path) -> dict[Path, bytes]:
    """What the files hold; a process that ends meanwhile takes its own along, or shows it to nobody."""
    found = {}
    for path in paths:
        try:
            if path.is_file():
                found[path] = path.read_bytes()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return found
