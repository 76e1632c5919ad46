"""Watch what a session's processes and files use; end the processes when it is too much.

Where no cgroup is to be had the kernel has no limit for a group of processes, so the agent looks, several
times a second, and what grows faster than that overshoots. Where one is to be had (`cgroup`) the kernel stops
that, at a limit that files in memory are a part of. Linux only: /proc is what it looks at.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from pytest_agb.local import syscalls
from pytest_agb.local.limits import usage

if TYPE_CHECKING:
    from pytest_agb.local.limits.rlimits import Limits
    from pytest_agb.local.loop import Loop

#: Seconds between two looks, the shorter the nearer the limit.
_SELDOM, _OFTEN = 0.25, 0.05
#: The part of its time that an agent spends looking, at most.
_SHARE = 0.1
#: Bytes by which the file system's free space shrinks before a session's files are counted again.
_NOTICEABLE = 16 << 20


class Watch:
    """A job of the agent's that never ends.

    ``directory`` holds the session's files where there are no namespaces; with them it is ``None``.
    """

    def __init__(self, loop: Loop, directory: str | None, limits: Limits) -> None:
        self._loop = loop
        self._limits = limits
        self._next = 0.0
        #: Processes that were killed and may not be gone yet: what they use is no reason to kill others.
        self._dying: set[int] = set()
        self._files = None if directory is None else _Files(directory, limits)

    def is_full(self) -> bool:
        """Whether the session's files are more or larger than they may be, as far as it is ours to see to."""
        return self._files is not None and self._files.is_full()

    def on_exit(self, pid: int, status: int) -> bool:
        """See `loop.Job`."""
        return False

    def tick(self, now: float) -> float | None:
        """See `loop.Job`."""
        if now < self._next:
            return self._next
        self._loop.look_for_victims()
        started = time.thread_time()  # not by the clock: where many run, a look takes long and must come soon
        pids = self._processes(self._limits.processes + len(self._dying))
        self._dying &= pids
        pids -= self._dying
        if not pids:
            self._look_at_files(pids)
            return None
        used = 0
        reason = self._too_many(pids)
        if not reason:
            used = self._memory(pids)
            reason = self._too_much(used) or self._look_at_files(pids)
        if reason:
            self._loop.kill_all(reason)
            self._dying = self._processes(1 << 20)
            if self._files is None:
                for segment in usage.system_v_memory():  # of this session; they outlive processes
                    syscalls.remove_system_v_memory(segment)
        nearness = min(1.0, used / self._limits.memory_bytes)
        pause = max((time.thread_time() - started) / _SHARE, _SELDOM - (_SELDOM - _OFTEN) * nearness)
        self._next = time.monotonic() + pause
        return self._next

    def _processes(self, at_most: int) -> set[int]:
        return usage.all_others() if os.getpid() == 1 else usage.descendants(os.getpid(), at_most)

    def _too_many(self, pids: set[int]) -> str:
        if len(pids) <= self._limits.processes:
            return ""
        return f"there were more than {self._limits.processes}"

    def _memory(self, pids: set[int]) -> int:
        nowhere = sum(size for name, size in usage.nameless_files(pids) if name.startswith("/memfd:"))
        if self._files is None:
            nowhere += sum(usage.system_v_memory().values())
        at_most = usage.memory_at_most(pids) + nowhere
        return at_most if at_most <= self._limits.memory_bytes else usage.memory(pids) + nowhere

    def _too_much(self, used: int) -> str:
        if used <= self._limits.memory_bytes:
            return ""
        return f"{used >> 20} MiB of memory in use, and {self._limits.memory_bytes >> 20} are allowed"

    def _look_at_files(self, pids: set[int]) -> str:
        if self._files is None:
            return ""
        return self._files.too_many(pids)


class _Files:
    """The files of a session that are on a disk of this machine."""

    def __init__(self, directory: str, limits: Limits) -> None:
        self._directory = directory
        self._limits = limits
        self._free = self._free_space()
        self._most = (limits.storage_bytes, limits.files)
        self._full = False

    def _free_space(self) -> tuple[int, int]:
        disk = os.statvfs(self._directory)
        return disk.f_bfree * disk.f_frsize, disk.f_ffree

    def is_full(self) -> bool:
        """Whether there are more or larger files than there may be."""
        if self._full:
            self.too_many(set())
        return self._full

    def too_many(self, pids: set[int]) -> str:
        """Return why processes must not go on, ``""`` if they may: to delete, where it is full already."""
        free = self._free_space()
        shrunk = self._free[0] - free[0] > _NOTICEABLE or self._free[1] - free[1] > self._limits.files // 16
        if not shrunk and not self._full:
            self._free = (max(self._free[0], free[0]), max(self._free[1], free[1]))
            return ""
        self._free = free
        size, number = usage.in_directory(self._directory)
        inside = f"{self._directory}/"
        size += sum(size for name, size in usage.nameless_files(pids) if name.startswith(inside))
        self._full = size > self._limits.storage_bytes or number > self._limits.files
        if not self._full:
            self._most = (self._limits.storage_bytes, self._limits.files)
            return ""
        grown = size > self._most[0], number > self._most[1]
        self._most = (max(self._most[0], size), max(self._most[1], number))
        if grown[0]:
            return f"{size >> 20} MiB in files, and {self._limits.storage_bytes >> 20} are allowed"
        return f"{number} files, and {self._limits.files} are allowed" if grown[1] else ""
