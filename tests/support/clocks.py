"""What a suite does to the clock and what must hold all the same, whichever library does it."""

from __future__ import annotations

import time

from pytest_agb.labels import CREATED, EXPIRES
from support.suite import Suite

#: Each way of running, with the backend that it is on.
WAYS = {
    "plain": [],
    "xdist": ["-n2"],
    "plain-local": ["--agb-backend=local", "--agb-local-isolation=any"],
    "xdist-local": ["-n2", "--agb-backend=local", "--agb-local-isolation=any"],
}


def assert_real_times(suite: Suite) -> None:
    """What the sessions' labels say of time is true."""
    assert suite.created
    now = time.time()
    for session in suite.created:
        assert now - 120 < float(session.labels[CREATED]) <= now + 1
        assert now < float(session.labels[EXPIRES]) < now + 7200
