"""The wall time, whatever a test has frozen or moved: for labels, and for what is compared with earlier runs.

Of the clocks that know the date SQLite's is the one that both freezegun and time-machine leave alone.
Standard library only.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: Of `unixepoch('subsec')` older versions of SQLite know nothing.
_UNIX_SECONDS = "SELECT (julianday('now') - 2440587.5) * 86400"


def wall_seconds(*, _connect: Callable[[str], sqlite3.Connection] = sqlite3.connect) -> float:
    """Seconds since 1970, to the millisecond."""
    connection = _connect(":memory:")  # one that is kept could be in use as a test forks
    try:
        return float(connection.execute(_UNIX_SECONDS).fetchone()[0])
    finally:
        connection.close()
