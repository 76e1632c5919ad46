"""On a terminal one line counts what is still to be deleted; elsewhere it is said once."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress

import pytest
from support.many_tests import many
from support.standin import StandIn


def on_a_terminal(*command: str, cwd: str) -> str:
    """Run ``command`` with a pseudo-terminal for its output; return all that was written there."""
    ours, theirs = os.openpty()
    with subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs):
        os.close(theirs)
        written = b""
        with suppress(OSError):  # how a pseudo-terminal says that nobody writes any more
            while chunk := os.read(ours, 65536):
                written += chunk
    os.close(ours)
    return written.decode()


def test_the_end_of_a_run_on_a_terminal(pytester: pytest.Pytester, cloud: StandIn) -> None:
    cloud.delete_seconds = 1.5
    pytester.makepyfile(many(3))

    written = on_a_terminal(sys.executable, "-m", "pytest", "--agb-end-timeout=30", cwd=str(pytester.path))

    assert "\ragb: deleting 3 sessions " in written
    assert written.index("agb: deleting 3") < written.index(
        "agb: 3 sessions created, 3 deleted, 0 kept, 0 left"
    )


def test_the_end_of_a_run_elsewhere(pytester: pytest.Pytester, cloud: StandIn) -> None:
    cloud.delete_seconds = 1.5
    pytester.makepyfile(many(3))

    text = pytester.runpytest_subprocess().stdout.str()

    assert text.count("agb: deleting ") == 1
    assert "\r" not in text


def test_a_sweep_on_a_terminal(pytester: pytest.Pytester, cloud: StandIn) -> None:
    expired = str(int(time.time()) - 60)
    for _ in range(5):
        cloud.add_session({"created_by": "pytest-agb", "agb_run": "run-dead", "agb_expires": expired})
    pytester.makepyfile("def test_it(): pass")

    written = on_a_terminal(sys.executable, "-m", "pytest", "--agb-sweep", cwd=str(pytester.path))

    assert "\ragb: sweeping, 5 sessions deleted " in written
    assert "agb: swept: 5 sessions deleted, 0 kept, 0 left" in written
