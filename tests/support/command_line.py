"""What a command of `pytest-agb` says, run in this process."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Said(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


#: Takes a command's arguments, and variables of its environment by name.
Run = Callable[..., Said]
