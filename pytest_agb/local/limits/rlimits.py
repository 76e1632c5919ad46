"""What one sandbox may use, and the part of it that the kernel sees to. For the rest there is `watch`."""

from __future__ import annotations

import os
import platform
import resource
from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use."""

    #: Bytes of memory of all its processes together.
    memory_bytes: int = 1 << 30
    #: Bytes in the sandbox's files, all together.
    storage_bytes: int = 1 << 30
    #: Number of its files and directories.
    files: int = 400_000
    #: Bytes of data in one process. Not the address space: V8 reserves far more than it uses.
    process_memory_bytes: int = 4 << 30
    #: Bytes in one file.
    file_bytes: int = 1 << 30
    #: Processes and threads of one sandbox.
    processes: int = 1024


def set_limits(limits: Limits, *, own_user_namespace: bool) -> None:
    """Set what this process, and all that it starts, may use."""
    wanted = [(resource.RLIMIT_CORE, 0), (resource.RLIMIT_FSIZE, limits.file_bytes)]
    if platform.system() == "Linux":  # macOS counts neither
        wanted.append((resource.RLIMIT_DATA, limits.process_memory_bytes))
    # Since Linux 5.14 processes are counted per user namespace, before per user: that would be the
    # whole machine's.
    if own_user_namespace and tuple(map(int, platform.release().split(".")[:2])) >= (5, 14):
        wanted.append((resource.RLIMIT_NPROC, 2 * limits.processes))
    _set(wanted)


def count_against(limits: Limits, others: int) -> None:
    """Limit the processes of this user, who has ``others`` that are not the sandbox's."""
    what = resource.RLIMIT_NPROC
    before = resource.getrlimit(what)
    value = others + 2 * limits.processes
    if before[1] != resource.RLIM_INFINITY:
        value = min(value, before[1])
    resource.setrlimit(what, (value, before[1]))
    if others:
        try:
            child = os.fork()
        except BlockingIOError:
            # The user has more of them, where they can't be seen: in other containers.
            resource.setrlimit(what, before)
            return
        if child == 0:
            os._exit(0)
        os.waitpid(child, 0)
    resource.setrlimit(what, (value, value))


def _set(wanted: list[tuple[int, int]]) -> None:
    for what, value in wanted:
        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (value, value))
