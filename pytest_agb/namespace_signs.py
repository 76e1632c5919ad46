"""Signs that this machine forbids namespaces, for the header of a run. `local.isolation` knows, by trying.

Standard library only: a run that uses no session looks, too, and must not pay for a try.
"""

from __future__ import annotations

import sys
from pathlib import Path

_PROC = Path("/proc")
#: Settings of the kernel, and the values with which it forbids.
_FORBIDDING = {
    "user/max_user_namespaces": "0",
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}


def are_doubtful() -> bool:
    """Whether it is worth a try to learn if sandboxes can have namespaces here."""
    if not sys.platform.startswith("linux"):
        return True
    if any(_read(f"sys/{name}").strip() == value for name, value in _FORBIDDING.items()):
        return True
    if "\nSeccomp:\t2" in _read("self/status"):  # system calls are filtered: a container, most often
        return True
    # Something hides a part of /proc; nobody then may mount one that shows it.
    mount_points = (line.split()[4] for line in _read("self/mountinfo").splitlines())
    return any(path.startswith("/proc/") and path != "/proc/sys/fs/binfmt_misc" for path in mount_points)


def _read(name: str) -> str:
    try:
        return (_PROC / name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
