"""How often a background process of a run that died is started again: a few times, not for ever.

What dies again and again would do so for as long as the run takes, and nobody would learn why.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pytest_agb import real

if TYPE_CHECKING:
    from pathlib import Path

#: How often one that died is started again, within so many seconds.
RESTARTS = 3
RESTART_SECONDS = 600.0


class RestartLimit:
    """The restarts of one such process, in a file; count under the lock of the start."""

    def __init__(self, path: Path) -> None:
        #: Each boot and second at which it was started again.
        self._path = path

    def reached(self) -> bool:
        """Whether it is not started again."""
        return len(self._recent()) >= RESTARTS

    def count(self) -> None:
        """It is started again."""
        self._path.write_text(json.dumps([*self._recent(), (real.boot_id(), real.boot_seconds())]))

    def _recent(self) -> list[tuple[str, float]]:
        since = real.boot_seconds() - RESTART_SECONDS
        try:
            times = json.loads(self._path.read_text())
            return [(boot, at) for boot, at in times if boot == real.boot_id() and at > since]
        except (OSError, ValueError, TypeError):  # there were none, or somebody has damaged it
            return []
