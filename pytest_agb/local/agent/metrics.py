"""The load of a session, as the tool `get_metrics` tells it: what its own processes and files take.

Processor time is measured over a moment, so an answer takes that long. Memory is the processes' share of
what they have in common (PSS), so that forked ones do not count twice. A sandbox has no network but its
loopback, so nothing is received or sent. On macOS, without ``/proc``, processor and memory are 0.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING

from pytest_agb.local.limits import processes, usage

if TYPE_CHECKING:
    from pytest_agb.local.agent.paths import Place
    from pytest_agb.local.loop import Loop

#: Seconds over which processor time is measured: 20 ticks of the kernel's clock.
_MOMENT_SECONDS = 0.2
_TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class MetricsJob:
    """Measures for a moment and answers one call."""

    def __init__(self, loop: Loop, place: Place, call: int) -> None:
        self._loop = loop
        self._place = place
        self._call = call
        self._started = time.monotonic()
        self._before = _cpu_seconds()

    def on_exit(self, pid: int, status: int) -> bool:
        """See `loop.Job`."""
        return False

    def tick(self, now: float) -> float | None:
        """See `loop.Job`."""
        if now < self._started + _MOMENT_SECONDS:
            return self._started + _MOMENT_SECONDS
        used = max(0.0, _cpu_seconds() - self._before) / (now - self._started)
        self._loop.reply(self._call, True, json.dumps(_metrics(self._place, used)))
        self._loop.finished(self)
        return None


def _metrics(place: Place, processors: float) -> dict[str, object]:
    """Return the service's keys; sizes in bytes. ``processors`` is how many were busy on average."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    disk = os.statvfs(place.home)
    free = disk.f_bfree * disk.f_frsize
    total = disk.f_blocks * disk.f_frsize
    # With namespaces all files are in a file system of the sandbox's own.
    used = total - free if place.directory is None else usage.in_directory(place.directory)[0]
    return {
        "cpu_count": count,
        "cpu_used_pct": round(min(100.0, 100 * processors / count), 1),
        "disk_total": total,
        "disk_used": used,
        "mem_total": _PAGE_BYTES * os.sysconf("SC_PHYS_PAGES"),
        "mem_used": sum(_memory_bytes(pid) for pid in _own()),
        "rx_rate_kbyte_per_s": 0.0,
        "tx_rate_kbyte_per_s": 0.0,
        "rx_used_kbyte": 0.0,
        "tx_used_kbyte": 0.0,
        "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _own() -> set[int]:
    """Return the sandbox's processes: the agent is above them all."""
    return processes.tree(os.getpid()) | {os.getpid()}


def _cpu_seconds() -> float:
    """Return the processor time that the sandbox has used since it began, ended processes included."""
    total = 0
    for pid in _own():
        with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
            # From the third field on: utime, stime, and those of the children that were waited for.
            fields = file.read().rpartition(b")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total * _TICK_SECONDS


def _memory_bytes(pid: int) -> int:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError), open(f"/proc/{pid}/statm", encoding="ascii") as file:
        _, resident, shared = map(int, file.read().split()[:3])
        return (resident - shared) * _PAGE_BYTES
    return 0  # it has ended
