"""What an agent and a fork server do in a cgroup, as far as that shows without one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.local_server import environment

from pytest_agb.local.limits import cgroup

CODE = """
import os, sys
from pytest_agb.local.limits import cgroup; from pytest_agb.local.isolation import host, landlock

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


def cgroups() -> Path | None:
    """Where they are mounted, if they are."""
    mounts = Path("/proc/mounts")
    lines = mounts.read_text().splitlines() if mounts.exists() else []
    return next((Path(line.split()[1]) for line in lines if line.split()[2] == "cgroup2"), None)


@pytest.mark.skipif(cgroups() is None, reason="no cgroups of version 2 are mounted")
def test_a_file_that_the_kernel_does_not_have_is_missing_not_forbidden() -> None:
    """Without swap or before Linux 5.14 there are fewer."""
    with pytest.raises(FileNotFoundError):
        cgroup._write(f"{cgroups()}/memory.no_such_file", "1")


def test_what_the_kernel_kills_for_others_is_not_blamed_on_the_session(tmp_path: Path) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n")
    descriptor = os.open(events, os.O_RDONLY)
    kernel = cgroup.OutOfMemory(descriptor, 2 << 30)
    assert kernel.reason() == ""
    events.write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 1\noom_group_kill 0\n")
    assert kernel.reason() == "all of 2048 MiB of memory in use, and no more are allowed"
    assert kernel.reason() == ""
    events.write_text("low 0\nhigh 0\nmax 9\noom 1\noom_kill 2\noom_group_kill 0\n")
    assert kernel.reason() == "the kernel was short of memory, beyond what this session may use"
    os.close(descriptor)
