"""One local server per run: started when needed, shared by all workers, gone when the run is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.deadline import eventually
from support.locks import holder
from support.variants import slow_but

SUITE = """
    import os, pathlib, pytest

    @pytest.mark.parametrize("number", range(6))
    def test_it(agb_session, number):
        endpoint = agb_session.agb.endpoint
        pathlib.Path(os.environ["SEEN"], f"{os.getpid()}-{number}").write_text(endpoint)
        assert agb_session.code.run_code("print(6 * 7)", "python").check().logs.stdout == ["42\\n"]
"""
WAITS = """
    import os, pathlib, time

    def test_it(agb_session):
        agb_session.command.execute_command("true").check()
        pathlib.Path(os.environ["SEEN"], str(os.getpid())).write_text("")
        time.sleep(60)
"""


def servers(temp_directory: Path) -> list[int]:
    """Process IDs of the local servers whose run's directory is below ``temp_directory``."""
    found = {holder(path) for path in temp_directory.glob("pytest-agb-*/run-*/server.alive")}
    return sorted(pid for pid in found if pid is not None)


def start(directory: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    """Start pytest by hand. (pytester would put the working directory on the path.)"""
    pytest_command = Path(sys.executable).with_name("pytest")
    return subprocess.Popen(
        [pytest_command, *arguments],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        **options,
    )


needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")


@needs_proc
@pytest.mark.parametrize("arguments", [[], ["-n2"]], ids=["plain", "xdist"])
@pytest.mark.usefixtures("left_behind")
def test_one_for_all_workers(
    pytester: pytest.Pytester, temp_directory: Path, seen: Path, arguments: list[str]
) -> None:
    pytester.makepyfile(SUITE)

    pytester.runpytest_subprocess(*arguments).assert_outcomes(passed=6)

    assert len({path.read_text() for path in seen.iterdir()}) == 1
    assert len({path.name.split("-")[0] for path in seen.iterdir()}) == max(1, 2 * len(arguments))
    eventually(lambda: not servers(temp_directory), "the server has ended")


@needs_proc
@pytest.mark.parametrize(
    ("workers", "number"),
    slow_but(
        lambda workers, number: (number == signal.SIGTERM) == (workers > 0),
        [0, 2],
        [signal.SIGKILL, signal.SIGTERM, signal.SIGINT],
    ),
)
@pytest.mark.usefixtures("left_behind")
def test_gone_however_the_run_ends(
    pytester: pytest.Pytester, temp_directory: Path, seen: Path, workers: int, number: signal.Signals
) -> None:
    pytester.makepyfile(WAITS)
    with start(
        pytester.path,
        *([f"-n{workers}"] if workers else []),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        eventually(lambda: list(seen.iterdir()), "the test has its session")
        assert servers(temp_directory)

        os.killpg(process.pid, number)  # the test's own group: pytest and its workers

    eventually(lambda: not servers(temp_directory), "the server has ended")


@needs_proc
@pytest.mark.usefixtures("left_behind")
def test_survives_the_worker_that_started_it(
    pytester: pytest.Pytester, temp_directory: Path, seen: Path
) -> None:
    pytester.makepyfile(
        """
        import os, pathlib, pytest, time

        SEEN = pathlib.Path(os.environ["SEEN"])

        def wait_for(name):
            deadline = time.monotonic() + 30
            while not (SEEN / name).exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)

        def test_starts_the_server_and_dies(agb_session):
            (SEEN / "started").write_text(agb_session.agb.endpoint)
            wait_for("joined")
            os._exit(3)

        def test_uses_it(agb_session_factory):
            wait_for("started")
            first = agb_session_factory()
            (SEEN / "joined").write_text("")
            assert first.agb.endpoint == (SEEN / "started").read_text()
            for _ in range(20):
                agb_session_factory().command.execute_command("true").check()
        """
    )
    result = pytester.runpytest_subprocess("-n2", "--dist=load")

    result.assert_outcomes(passed=1, failed=1)
    eventually(lambda: not servers(temp_directory), "the server has ended")


@needs_proc
def test_a_server_that_was_killed_is_replaced(pytester: pytest.Pytester, temp_directory: Path) -> None:
    pytester.makepyfile(
        """
        import fcntl, os, pathlib, signal, struct, tempfile, time

        def test_kills_it(agb_session):
            (alive,) = pathlib.Path(tempfile.gettempdir()).glob("pytest-agb-*/run-*/server.alive")
            with alive.open("r+") as file:  # it is the server's lock
                lock = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0)
                *_, pid = struct.unpack("hhqqi", fcntl.fcntl(file, fcntl.F_GETLK, lock))
            os.kill(pid, signal.SIGKILL)
            while agb_session.command.execute_command("true").success:
                time.sleep(0.01)

        def test_has_another(agb_session):
            agb_session.command.execute_command("true").check()
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_holds_no_descriptor_of_pytest(pytester: pytest.Pytester, temp_directory: Path) -> None:
    """``pytest -s | cat`` ends with pytest, whatever runs on in the server and its sandboxes."""
    pytester.makepyfile(
        """
        def test_it(agb_session): agb_session.command.execute_command("sleep 300 &").check()
        """
    )
    with start(pytester.path, "-s", stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        output, _ = process.communicate(timeout=60)  # returns at end-of-file, which a holder would keep back

    assert process.returncode == 0, output.decode()


def test_imports_nothing_from_the_working_directory(pytester: pytest.Pytester, seen: Path) -> None:
    for name in ("httpx", "starlette", "uvicorn", "json", "pytest_agb"):
        (pytester.path / f"{name}.py").write_text(
            f"import os, pathlib\npathlib.Path(os.environ['SEEN'], '{name}').write_text('')\n"
            "raise RuntimeError('imported from the working directory')\n"
        )
    pytester.makepyfile("def test_it(agb_session): agb_session.command.execute_command('true').check()")

    # `importlib`, so that pytest itself imports none of them either.
    with start(pytester.path, "--import-mode=importlib", stdout=subprocess.PIPE, text=True) as process:
        output, _ = process.communicate(timeout=60)

    assert process.returncode == 0, output
    assert list(seen.iterdir()) == []


LOOK = """
import pathlib, sys, tempfile

key = sys.stdin.buffer.read()
files = 0
for path in pathlib.Path(tempfile.gettempdir()).rglob("*"):
    if path.is_file():
        try:
            assert key not in path.read_bytes(), path
            files += 1
        except PermissionError:
            assert path.stat().st_size == 0, path
assert files
for process in pathlib.Path("/proc").iterdir():
    for name in ("cmdline", "environ"):
        try:
            text = (process / name).read_bytes() if process.name.isdigit() else b""
        except OSError:
            continue
        assert key not in text, process
"""


@needs_proc
def test_no_secret_in_a_file_or_a_process_list(pytester: pytest.Pytester, temp_directory: Path) -> None:
    (pytester.path / "look.py").write_text(LOOK)
    pytester.makepyfile(
        """
        import pathlib, subprocess, sys
        from pytest_agb.plugin.stash import SETTINGS

        def test_it(agb_session, pytestconfig):
            key = pytestconfig.stash[SETTINGS].api_key.reveal()
            assert len(key) >= 32
            assert key not in repr(pytestconfig.stash[SETTINGS]) + repr(agb_session) + repr(agb_session.agb)
            look = [sys.executable, pathlib.Path("look.py").resolve()]
            subprocess.run(look, input=key.encode(), check=True)  # in this process reads would end its lock
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
