"""A process that holds a key leaves no core dump."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import ctypes, os, resource, subprocess, sys
from pytest_agb import core_dumps
resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY,) * 2)
core_dumps.forbid()
child = os.fork()
if child == 0:
    os._exit(ctypes.CDLL(None).prctl(3))
forked = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
tell = "import ctypes; print(ctypes.CDLL(None).prctl(3))"
started = subprocess.run([sys.executable, "-c", tell], capture_output=True)
print(resource.getrlimit(resource.RLIMIT_CORE)[0], ctypes.CDLL(None).prctl(3), forked, int(started.stdout))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="macOS knows the limit only")
def test_it_holds_for_a_process_and_its_forks_and_not_for_programs_that_they_start() -> None:
    done = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, text=True, check=True)

    assert done.stdout == "0 0 0 1\n"
