"""Signs that this machine forbids namespaces: for the header of a run, and to say why where there are none.

Whether sandboxes have namespaces `local.isolation` knows, by trying. Standard library only, and little: a run
that uses no session looks, too, and must not pay for a try.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

_PROC = Path("/proc")


class Setting(NamedTuple):
    """A setting of the kernel, by its sysctl name, that can forbid namespaces."""

    name: str
    #: The value with which it forbids, and one with which it does not.
    forbidding: int
    allowing: int
    #: What it means for the user that it forbids.
    meaning: str


SETTINGS = (
    Setting("user.max_user_namespaces", 0, 15000, "user namespaces are switched off"),
    Setting("kernel.unprivileged_userns_clone", 0, 1, "user namespaces are for root only"),
    Setting("kernel.apparmor_restrict_unprivileged_userns", 1, 0, "AppArmor restricts user namespaces"),
)


def forbidding_setting() -> Setting | None:
    """Return the first setting that forbids namespaces on this machine, if one does."""
    for setting in SETTINGS:
        value = _read(f"sys/{setting.name.replace('.', '/')}").strip()
        if value == str(setting.forbidding):
            return setting
    return None


def are_doubtful() -> bool:
    """Whether it is worth a try to learn if sandboxes can have namespaces here."""
    if not sys.platform.startswith("linux"):
        return True
    if forbidding_setting() is not None:
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
