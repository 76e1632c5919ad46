"""Where a session runs out of memory, its agent is not what the kernel kills first, in whatever isolation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from localserver import environment

CODE = """
import os, sys
from pytest_agb.local import cgroup, host, landlock

def score():
    return int(open("/proc/self/oom_score_adj").read())

own = score()
directory, confined = sys.argv[1:]
agent = cgroup.OutOfMemory(os.open(os.devnull, os.O_RDONLY), 0)
agent.become_agent()
if confined:
    landlock.confine(directory, landlock.readable(host.python_prefixes()), network=False)
with agent.starting():
    if os.fork() == 0:
        os._exit(score() != min(1000, own + 500))
    assert os.wait()[1] == 0, "what it starts has another score"
assert score() == own, "the agent has another score"
"""


@pytest.mark.parametrize("confined", ["", pytest.param("landlock", marks=pytest.mark.needs_landlock)])
@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="needs Linux")
def test_what_the_agent_starts_goes_before_it(confined: str, tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", CODE, tmp_path, confined], env=environment(), check=True)
