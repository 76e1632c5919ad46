"""Say why a path is closed to commands: "Permission denied" does not tell that /tmp is the machine's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_agb.local.agent.file_tools import Place

_DENIED = re.compile(r"permission denied|EACCES", re.IGNORECASE)
#: An absolute path; not the end of a relative one.
_PATH = re.compile(r"(?<![\w.~/-])/[^\s'\"\u2019:;,()<>|&]*")
#: Reasons that one answer gives at most.
_MAX = 3


def explain(place: Place, complaints: str) -> str:
    """Return a line for each path that a program complains of and that is closed; ``""`` if there is none."""
    lines = [line for line in complaints.splitlines() if _DENIED.search(line)]
    found = (path for line in lines for path in _PATH.findall(line))
    # The shell's names for connections are no paths.
    paths = dict.fromkeys(path for path in found if not path.startswith(("/dev/tcp/", "/dev/udp/")))
    reasons = [reason for path in paths if (reason := place.why_closed(path))]
    return "".join(f"pytest-agb: {reason}\n" for reason in reasons[:_MAX])
