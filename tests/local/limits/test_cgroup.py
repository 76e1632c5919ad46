"""Where a cgroup is delegated, the kernel itself holds a session's limits, and ends it as a whole.

Few machines have one for a test. `test_cgroup_choice.py` is about where one is looked for, and
`test_cgroup_in_a_virtual_machine.py` runs these tests on a kernel of their own.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from support.confined import Confined
from support.deadline import eventually
from support.local_server import Api, Sandbox, processes_with, serving

from pytest_agb.local.limits import cgroup
from pytest_agb.local.limits.rlimits import Limits

DELEGATED = cgroup.delegated()
pytestmark = pytest.mark.skipif(DELEGATED is None, reason="no cgroup is delegated on this machine")

MIB = 1 << 20
LIMITS = Limits(memory_bytes=96 * MIB, storage_bytes=32 * MIB, processes=64)

#: Fills the buffers of sockets, which are nobody's memory but the kernel's.
HOARDER = """
import resource, socket
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
pairs = []
while True:
    pairs.append(socket.socketpair())
    pairs[-1][0].setblocking(False)
    try:
        while True:
            pairs[-1][0].send(bytes(1 << 14))
    except BlockingIOError:
        pass
"""
SMALL_HOARDER = """
while (1) {
    socketpair(my $one, my $other, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die $!;
    $one->blocking(0);
    push @pairs, $one, $other;
    1 while syswrite($one, "x" x 16384);
}
"""


def groups() -> set[Path]:
    """The sessions' cgroups."""
    return set(Path(DELEGATED or "").glob("pytest-agb-*/*/"))


@pytest.fixture
def group(lasting: Sandbox) -> Path:
    """The session's cgroup."""
    (group,) = groups()
    return group


def hard_limit(limited: Confined) -> int:
    return LIMITS.memory_bytes + (LIMITS.storage_bytes if limited.way == "namespaces" else 0)


def test_all_that_a_session_starts_is_in_its_cgroup(lasting: Sandbox, group: Path) -> None:
    before = group.joinpath("cgroup.procs").read_text().split()
    assert len(before) == 1, "the agent"
    lasting.shell("sleep 60 & (setsid sleep 60 &) ; echo started")
    lasting.code("1")
    assert len(group.joinpath("cgroup.procs").read_text().split()) == 4


def test_memory_that_only_the_kernel_counts(limited: Confined, lasting: Sandbox, group: Path) -> None:
    error = lasting.code(HOARDER)["executionError"]
    most = hard_limit(limited)
    assert f"killed: all of {most // MIB} MiB of memory in use, and no more are allowed" in error
    assert most * 0.9 < int(group.joinpath("memory.peak").read_text()) <= most


@pytest.mark.skipif(not shutil.which("perl"), reason="needs a small program that makes sockets: perl")
def test_the_agent_is_not_what_the_kernel_kills(lasting: Sandbox, group: Path) -> None:
    """It is larger than the one that hoards."""
    result = lasting.shell(
        f"ulimit -n $(ulimit -Hn); perl -MSocket -MIO::Handle -e {shlex.quote(SMALL_HOARDER)}"
    )
    assert "pytest-agb: the session's processes were killed: all of " in result["stderr"]


def test_what_the_kernel_killed_takes_the_others_along(lasting: Sandbox, group: Path) -> None:
    """As where there is no cgroup: what a killed process leaves half done is nothing to go on with."""
    result = lasting.shell(f"python3 -c {shlex.quote(HOARDER)}; echo went on; sleep 5; echo too long")
    assert "went on" in result["stdout"]
    assert "too long" not in result["stdout"]
    assert "pytest-agb: the session's processes were killed: all of " in result["stderr"]


def test_processes_and_threads(lasting: Sandbox, group: Path) -> None:
    assert group.joinpath("pids.max").read_text() == f"{2 * LIMITS.processes}\n"
    swap = group / "memory.swap.max"
    assert not swap.exists() or swap.read_text() == "0\n"
    code = (
        "import threading, time\nthreads = []\ntry:\n    while True:\n"
        "        threads.append(threading.Thread(target=time.sleep, args=(60,), daemon=True))\n"
        "        threads[-1].start()\nexcept RuntimeError as error:\n    print(len(threads))"
    )
    (text,) = lasting.code(code)["stdout"]
    assert int(text) <= 2 * LIMITS.processes


def test_a_cgroup_goes_with_its_session(limited: Confined) -> None:
    mark = "77430918"
    with limited.api.session() as sandbox:
        sandbox.shell(f"(setsid sleep {mark} &) ; (sleep {mark} &)")
        assert len(groups()) == 1
    eventually(lambda: not processes_with(mark), "its processes are gone", seconds=1)
    with limited.api.session():  # the next one takes away what could not be removed at once
        eventually(lambda: len(groups()) == 1, "its cgroup is gone")


@pytest.mark.parametrize("isolation", ["namespaces", "none"])
def test_nothing_is_left_of_a_server_that_is_killed(isolation: str) -> None:
    mark = "77430919"
    with serving("--isolation", isolation) as server, (api := Api(server)).http:
        api.create().shell(f"(setsid sleep {mark} &)")
        server.process.send_signal(signal.SIGKILL)
        eventually(lambda: not processes_with(mark), "its processes are gone", seconds=2)
        eventually(lambda: not list(Path(DELEGATED or "").glob("pytest-agb-*")), "so are its cgroups")


def test_what_a_killed_fork_server_left_is_removed_by_the_next() -> None:
    left = Path(DELEGATED or "") / "pytest-agb-1-1"
    (left / "session").mkdir(parents=True)
    new = left.with_name("pytest-agb-1-2")
    new.mkdir()
    try:
        os.utime(left, (0, 0))
        with serving("--isolation", "none") as server, (api := Api(server)).http, api.session():
            assert not left.exists()
            assert new.exists(), "it may be one that is just being made"
    finally:
        for path in (left / "session", left, new):
            if path.exists():
                path.rmdir()
