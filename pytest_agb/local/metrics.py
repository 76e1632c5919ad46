"""The load of a session: the keys that the service's `get_metrics` has."""

from __future__ import annotations

import json
import os
import time


def collect(home: str) -> str:
    """Return JSON; sizes in bytes. What a sandbox can't know (network rates) is 0."""
    disk = os.statvfs(home)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return json.dumps(
        {
            "cpu_count": os.cpu_count() or 1,
            "cpu_used_pct": round(min(100.0, os.getloadavg()[0] / (os.cpu_count() or 1) * 100), 1),
            "disk_total": disk.f_blocks * disk.f_frsize,
            "disk_used": (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
            "mem_total": total,
            "mem_used": total - _available_bytes(total),
            "rx_rate_kbyte_per_s": 0.0,
            "tx_rate_kbyte_per_s": 0.0,
            "rx_used_kbyte": 0.0,
            "tx_used_kbyte": 0.0,
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
    )


def _available_bytes(total: int) -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            for line in file:
                if line.startswith("MemAvailable:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return total
