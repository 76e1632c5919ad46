"""One thread that is told to wait slows all of them down, and they come back."""

from __future__ import annotations

import threading
import time

from pytest_agb.sweep.rate_limiter import RateLimiter


def test_it_halves_who_may_call_and_lets_them_back() -> None:
    limiter = RateLimiter(8, threading.Event())
    with limiter:
        limiter.step_aside(0.05)
    assert limiter.limit == 4
    time.sleep(0.06)
    for _ in range(60):
        with limiter:
            pass
    assert limiter.limit == 8
