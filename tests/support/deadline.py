"""Wait for what another process does."""

from __future__ import annotations

import time
from collections.abc import Callable


def eventually(holds: Callable[[], object], what: str, *, seconds: float = 20.0) -> None:
    """Return as soon as ``holds()`` is true; fail after ``seconds``, saying ``what`` did not come true."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s: {what}")
        time.sleep(0.02)
