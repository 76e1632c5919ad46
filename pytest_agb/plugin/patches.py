"""Names who has replaced what it takes to join a run, for tests that ask for a session only as they run.

By then a test may have put a mock in the place of `subprocess.Popen`, or of parts of `os`. Who has joined
before the first test (`joining`) goes by what was kept, see `pytest_agb.real`.
"""

from __future__ import annotations

import fcntl
import io
import os
import pathlib
import sqlite3
import subprocess
import sys
import time
import traceback

from pytest_agb.client import AGBError

_REMEDY = (
    "Name the fixture among the test's arguments, or in a usefixtures mark: then the run is joined before "
    "the first test, out of its reach"
)

#: Characters of the error itself that are shown: a mock's may quote all that it was called with.
_SHOWN = 200


def explained(error: Exception) -> AGBError | None:
    """What to say of an ``error`` in joining, where something is replaced; else ``None``."""
    replaced = _replaced()
    if not replaced:
        return None
    said = traceback.format_exception_only(error)[0].splitlines()[0][:_SHOWN]
    return AGBError(f"the run can't be joined while {', '.join(replaced)} ({said})", hint=_REMEDY)


def _replaced() -> list[str]:
    needed = {
        "subprocess.Popen": subprocess.Popen,
        "sqlite3.connect": sqlite3.connect,
        "fcntl.lockf": fcntl.lockf,
        "io.open": io.open,
        "time.sleep": time.sleep,
    }
    of_os = ("open", "close", "read", "stat", "lstat", "fstat", "mkdir", "rename", "scandir", "unlink")
    needed.update({f"os.{name}": getattr(os, name) for name in of_os})
    of_path = ("mkdir", "open", "stat", "lstat", "rename", "exists", "is_dir", "read_text", "write_text")
    needed.update({f"pathlib.Path.{name}": getattr(pathlib.Path, name) for name in of_path})
    own = {name: _module(function) for name, function in needed.items()}
    return [f"{name} is replaced by {module}" for name, module in own.items() if not _is_standard(module)]


def _module(function: object) -> str:
    module: object = getattr(function, "__module__", None)
    return module if isinstance(module, str) else type(function).__module__


def _is_standard(module: str) -> bool:
    name = module.partition(".")[0].removeprefix("_")
    return name != "unittest" and name in sys.stdlib_module_names
