"""A container may share the temp directory. Its process IDs mean nothing outside, and the other way round."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.deadline import eventually
from support.suite import Suite

from pytest_agb.labels import RUN
from pytest_agb.run import members

#: Runs a command as process 1 of process IDs of its own, as the same user; killed, it takes them all along.
CONTAINER = ("unshare", "-Uc", "-p", "-f", "--mount-proc", "--kill-child")

JOINS = """
import os, sys
from pathlib import Path
from pytest_agb.run.members import Member, Role

member = Member(Path(sys.argv[1]), Role.PYTEST)
print(os.getpid(), flush=True)
sys.stdin.read()
"""
#: Says for each line that it reads whether a member is alive.
LOOKS = """
import sys
from pathlib import Path
from pytest_agb.run.members import any_alive

for line in sys.stdin:
    print(any_alive(Path(sys.argv[1])), flush=True)
"""


@functools.cache
def can_have_containers() -> bool:
    try:
        return subprocess.run([*CONTAINER, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.fixture(autouse=True)
def needs_containers() -> None:
    if not can_have_containers():
        pytest.skip("no user namespaces on this machine, or no `unshare`: containers can't be had")


def run(prefix: tuple[str, ...], code: str, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", code, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(
    ("holder", "looker"),
    [
        pytest.param(CONTAINER, (), id="from outside"),
        pytest.param((), CONTAINER, id="from inside"),
        pytest.param(CONTAINER, CONTAINER, id="from another container"),
    ],
)
def test_a_member_is_seen_alive_until_it_is_dead(
    tmp_path: Path, holder: tuple[str, ...], looker: tuple[str, ...]
) -> None:
    directory = tmp_path / "members"
    with run(holder, JOINS, directory) as member, run(looker, LOOKS, directory) as looks:
        assert member.stdout
        assert looks.stdin
        assert looks.stdout

        def alive() -> bool:
            assert looks.stdin
            assert looks.stdout
            looks.stdin.write("look\n")
            looks.stdin.flush()
            return looks.stdout.readline() == "True\n"

        pid = int(member.stdout.readline())
        assert (pid == 1) == bool(holder)
        assert alive()

        member.kill()

        eventually(lambda: not alive(), "the member is seen dead")
    assert list(directory.iterdir()) == []


def test_a_run_in_a_container_is_left_alone_until_it_is_dead(suite: Suite, temp_directory: Path) -> None:
    """The next run on the host deletes what a container left that ended with all its processes."""
    suite.write(
        """
        def test_stays(agb_session):
            ready()
            time.sleep(60)

        def test_passes(agb_session): pass
        """
    )
    with suite.start("-k", "stays", prefix=CONTAINER) as container:
        suite.wait_until_ready()
        (session,) = suite.own
        (run,) = temp_directory.glob(f"pytest-agb-*/{session.labels[RUN]}")

        assert "1 passed" in suite.run("-k", "passes")
        eventually(lambda: suite.own == [session], "the other's is gone")

        os.kill(container.pid, signal.SIGKILL)
    eventually(lambda: not members.any_alive(run / "members"), "all its processes are dead")
    assert suite.own == [session], "somebody survived the container"

    assert "1 passed" in suite.run("-k", "passes")
    suite.assert_nothing_left(created=3)
