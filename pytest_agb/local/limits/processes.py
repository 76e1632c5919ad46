"""Find and end whole trees of processes."""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import os
import resource
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A limit that nothing in a sandbox comes near: what its value is can say where a process comes from.
_MARK_LIMIT: int | None = getattr(resource, "RLIMIT_MSGQUEUE", None)  # Linux has it
_MARKS = range(100_000, 700_000)


def _parents() -> dict[int, tuple[int, int]]:
    """Return parent and session ID of every process that can be seen."""
    table: dict[int, tuple[int, int]] = {}
    if not sys.platform.startswith("linux"):
        # macOS has no /proc.
        listing = subprocess.run(["/bin/ps", "-axo", "pid=,ppid="], capture_output=True, check=False).stdout
        for line in listing.decode().splitlines():
            pid, parent = line.split()
            with contextlib.suppress(OSError):
                table[int(pid)] = (int(parent), os.getsid(int(pid)))
        return table
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                # The command, in parentheses, may hold anything, parentheses too.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        if fields[0] not in (b"Z", b"X"):
            table[int(name)] = (int(fields[1]), int(fields[3]))
    return table


def tree(root: int, *, same_session: bool = True) -> set[int]:
    """Return the descendants of ``root`` (without it), and what runs in the terminal session it leads."""
    table = _parents()
    found = _below({root}, table)
    if same_session:
        found |= {pid for pid, (_, session) in table.items() if session == root and pid != root}
    return found - {os.getpid()}


def strays(parent: int, known: set[int]) -> set[int]:
    """Return the children of ``parent`` that are not ``known``, and all below those."""
    table = _parents()
    found = {pid for pid, (above, _) in table.items() if above == parent and pid not in known}
    return found | _below(found, table)


def _below(roots: set[int], table: dict[int, tuple[int, int]]) -> set[int]:
    children: dict[int, set[int]] = {}
    for pid, (parent, _) in table.items():
        children.setdefault(parent, set()).add(pid)
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        new = children.get(waiting.pop(), set()) - found - roots
        found |= new
        waiting += new
    return found


def kill_all(pids: set[int], signal_number: int = signal.SIGKILL) -> None:
    """Signal each of ``pids``; those already gone are fine."""
    for pid in pids:
        with contextlib.suppress(OSError):
            os.kill(pid, signal_number)


@contextlib.contextmanager
def marking(number: int) -> Iterator[int]:
    """Mark what is started meanwhile, and all that it starts; yield the mark.

    A process can leave its parent, its group, its terminal session and its environment. Its limits it keeps.
    """
    mark = _MARKS[number % len(_MARKS)]
    if _MARK_LIMIT is None:
        yield mark
        return
    soft, hard = resource.getrlimit(_MARK_LIMIT)
    if hard != resource.RLIM_INFINITY and hard < mark:
        yield mark  # an administrator left no room
        return
    resource.setrlimit(_MARK_LIMIT, (mark, hard))
    try:
        yield mark
    finally:
        resource.setrlimit(_MARK_LIMIT, (soft, hard))


def _marked(mark: int) -> set[int]:
    """Return those of our descendants that carry ``mark``: other agents have the same ones."""
    found = set()
    for pid in tree(os.getpid()):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/limits", encoding="ascii") as file:
            limits = file.read().partition("Max msgqueue size")[2].split(maxsplit=1)
            if limits and limits[0] == str(mark):
                found.add(pid)
    return found


def kill_tree(
    root: int, *, mark: int | None = None, and_root: bool = True, patience_seconds: float = 2.0
) -> None:
    """Kill everything below ``root``, and what carries ``mark``, until a look finds nothing new.

    A tree may grow while it is felled, so ``root`` is stopped first and goes last.
    """
    deadline = time.monotonic() + patience_seconds
    if and_root:
        kill_all({root}, signal.SIGSTOP)
    seen = {root}
    while time.monotonic() < deadline:
        found = tree(root) | (set() if mark is None else _marked(mark))
        if not found - seen:
            break
        kill_all(found - seen)
        seen |= found
    if and_root:
        kill_all({root})
