"""What a test's code leaves on disk is no trouble of the runs that come after, however its own run ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.deadline import eventually
from support.local_server import environment
from support.locks import holder
from support.ordinary_user import ordinary_user
from support.variants import slow_but

from pytest_agb.local.isolation import choose
from pytest_agb.removal import remove_tree

SUITE = '''
import pathlib, sys, time

TREE = """
import os
os.makedirs("ro/in"); open("ro/in/f", "w"); os.chmod("ro/in", 0o555); os.chmod("ro", 0)
for _ in range(2500):
    os.mkdir("d"); os.chdir("d")
"""

def test_it(agb_session):
    assert agb_session.code.run_code(TREE, "python").success
    pathlib.Path("ready").touch()
    while pathlib.Path("wait").exists():
        time.sleep(0.02)
'''


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that every user can use; nothing of the plugin may stay in its ``tmp``."""
    directory = Path(tempfile.mkdtemp(prefix="trees-"))
    directory.chmod(0o777)
    for name in ("tmp", "suite"):  # apart, or pytest would look for tests in what the tests have made
        (directory / name).mkdir()
        (directory / name).chmod(0o777)
    (directory / "suite" / "test_suite.py").write_text(SUITE)
    (directory / "suite" / "pytest.ini").write_text("[pytest]\n")
    yield directory
    eventually(lambda: not list(directory.glob("tmp/pytest-agb-*/*run-*")), "no run's directory is left")
    assert not list(directory.glob("tmp/pytest-agb-*/set-aside*"))
    assert remove_tree(directory) is None


@pytest.mark.parametrize(
    ("way", "user", "killed"),
    slow_but(
        lambda way, user, killed: user == "ordinary" and killed == (way == "landlock"),
        ["landlock", "none"],
        ["root", "ordinary"],
        [False, True],
    ),
)
def test_the_next_run_is_as_if_the_first_had_never_been(
    place: Path, way: str, user: str, killed: bool
) -> None:
    if way == "landlock" and (obstacle := choose.obstacle_to(way)):
        pytest.skip(f"no {way} on this machine: {obstacle.cause}")
    prefix, python = ordinary_user() if user == "ordinary" else ((), sys.executable)
    variables = {**environment(), "TMPDIR": str(place / "tmp"), "AGB_API_KEY": ""}
    command = [
        *prefix,
        python,
        "-m",
        "pytest",
        "-p",
        "no:anyio",
        "-p",
        "no:cacheprovider",
        f"--agb-local-isolation={way}",
    ]

    suite = place / "suite"

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            command, cwd=suite, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    if killed:
        (suite / "wait").touch()
    with start() as first:
        eventually((suite / "ready").exists, "the test has made its tree", seconds=60)
        if killed:
            kill_all_of(place, first)
        output = first.communicate(timeout=60)[0]
    assert killed or "agb: 1 session created, 1 deleted, 0 kept, 0 left" in output
    (suite / "wait").unlink(missing_ok=True)

    with start() as second:
        output = second.communicate(timeout=60)[0]

    assert second.returncode == 0, output
    told = [line for line in output.partition("collected 1 item")[2].splitlines() if line.startswith("agb:")]
    usual = ("agb: deleting", "sandbox-minutes")
    assert [line for line in told if not any(words in line for words in usual)] == [
        "agb: 1 session created, 1 deleted, 0 kept, 0 left"
    ], output


def kill_all_of(place: Path, run: subprocess.Popen[str]) -> None:
    """Kill a run with its keeper and its server, all at once."""
    found = {holder(path) for path in (place / "tmp").glob("pytest-agb-*/run-*/*.alive")}
    background = [pid for pid in found if pid is not None]
    assert len(background) == 2
    for pid in (run.pid, *background):
        os.kill(pid, signal.SIGKILL)
