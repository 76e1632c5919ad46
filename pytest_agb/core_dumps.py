"""A crash of a process that holds a key leaves nothing of its memory on disk. Standard library only."""

from __future__ import annotations

import ctypes
import resource
import sys

_PR_SET_DUMPABLE = 4


def forbid() -> None:
    """Keep this process, and those that it forks, from leaving core dumps.

    Programs that it starts are dumpable again: the fork server of the local sandboxes writes into the
    ``/proc`` of its children, which belongs to root where a process is not dumpable.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
    if sys.platform.startswith("linux"):
        # Who collects core dumps (systemd, apport) need not heed the limit. With this, other processes of the
        # same user can't read this one's memory either.
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, *(ctypes.c_ulong(0),) * 4) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE)")
