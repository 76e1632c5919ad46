"""Runs on several hosts. A TMPDIR of its own is what makes a process of a run be on another host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.deadline import eventually
from support.suite import Suite

from pytest_agb.labels import CI_RUN, RUN

pytestmark = pytest.mark.slow


@pytest.fixture
def hosts(tmp_path: Path) -> list[Path]:
    """Temp directories of two hosts; the test's own `temp_directory` is that of a third."""
    directories = [tmp_path / name for name in ("host-a", "host-b")]
    for directory in directories:
        directory.mkdir()
    return directories


def run_directories(host: Path) -> list[Path]:
    return list(host.glob("pytest-agb-*/*run-*"))


def remote(*hosts: Path) -> list[str]:
    """Options for one worker on each host."""
    return ["-d", *(f"--tx=popen//env:TMPDIR={host}" for host in hosts)]


USES_SESSIONS = """
    import tempfile

    @pytest.mark.parametrize("number", range(8))
    def test_it(agb_session, number):
        temp = pathlib.Path(tempfile.gettempdir())
        (run,) = temp.glob("pytest-agb-*/run-*")
        (SEEN / f"{temp.name} {run.name} {agb_session.session_id}").write_text("")
"""


def test_remote_workers_share_the_run_and_each_host_deletes_its_own(suite: Suite, hosts: list[Path]) -> None:
    # The workers end long before the keepers of their hosts have deleted all.
    suite.service.lists_deleting = True
    suite.service.delete_seconds = 3.0
    suite.write(USES_SESSIONS)

    output = suite.run(*remote(*hosts))

    assert "8 passed" in output
    assert "agb: remote workers had sessions of their own, 0 kept, 0 left\n" in output
    seen = [path.name.split() for path in suite.seen.iterdir()]
    assert {host for host, _, _ in seen} == {"host-a", "host-b"}
    (run,) = {session.labels[RUN] for session in suite.created}
    assert {name for _, name, _ in seen} == {run}
    suite.assert_nothing_left(created=8)
    for host in hosts:
        eventually(lambda host=host: not run_directories(host), "the run's directory is gone")  # type: ignore[misc]


def test_the_report_tells_this_host_from_others(
    suite: Suite, hosts: list[Path], temp_directory: Path
) -> None:
    suite.write(USES_SESSIONS)

    output = suite.run(*remote(hosts[0], temp_directory))

    here = sum(path.name.startswith(temp_directory.name) for path in suite.seen.iterdir())
    assert 0 < here < 8
    assert " created on this host, " in output
    assert " deleted, remote workers had sessions of their own, 0 kept, 0 left\n" in output
    suite.assert_nothing_left(created=8)


def test_what_workers_keep_is_told_from_what_they_left(
    suite: Suite, hosts: list[Path], temp_directory: Path
) -> None:
    suite.write(USES_SESSIONS + "        assert number % 4\n")

    output = suite.run(*remote(hosts[0], temp_directory), "--agb-keep-failed")

    assert "2 failed, 6 passed" in output
    assert ", remote workers had sessions of their own, 2 kept, 0 left\n" in output
    assert len(suite.own) == 2
    for session in suite.own:
        assert f"agb: session {session.session_id} is kept: test_suite.py::test_it[" in output
    for host in (hosts[0], temp_directory):
        eventually(lambda host=host: not run_directories(host), "the run's directory is gone")  # type: ignore[misc]


def test_nothing_is_claimed_of_local_sandboxes_on_other_hosts(suite: Suite, hosts: list[Path]) -> None:
    """Each host's sandboxes end with the server there, of which the controller sees nothing."""
    suite.write("def test_it(agb_session): agb_session.command.execute_command('true').check()\n")

    output = suite.run(*remote(hosts[0]), "--agb-backend=local", "--agb-local-isolation=any")

    assert "1 passed" in output
    assert "agb: remote workers had sessions of their own\n" in output
    assert suite.service.requests == []
    eventually(lambda: not run_directories(hosts[0]), "the server has ended")


def test_what_another_host_can_not_delete_is_named(suite: Suite, hosts: list[Path]) -> None:
    suite.write(
        """
        def test_it(agb_session):
            (SEEN / agb_session.session_id).write_text("")
            while not (SEEN / "go").exists():
                time.sleep(0.02)
        """
    )
    with suite.start(*remote(hosts[0])) as process:
        suite.wait_until_ready()
        (held,) = suite.seen.iterdir()
        suite.service.undeletable.add(held.name)
        (suite.seen / "go").write_text("")
        eventually(lambda: "agb: deleting 1 session" in suite.output, "pytest waits for the other host")
        os.kill(process.pid, signal.SIGINT)
        process.wait(20)

    assert "remote workers had sessions of their own, 0 kept, 1 left, did not wait" in suite.output
    assert f"agb: session {held.name} is left: still listed by the service" in suite.output
    assert "pytest-agb sweep --run run-" in suite.output
    suite.service.undeletable.clear()
    suite.assert_nothing_left()


def test_the_end_is_reported_however_long_ago_the_last_session_was_used(suite: Suite) -> None:
    """The workers that had sessions are long gone, and the keeper would be too if the controller let it."""
    suite.write(
        """
        import tempfile

        def gone():
            return not list(pathlib.Path(tempfile.gettempdir()).glob("pytest-agb-*/run-*"))

        def test_uses_a_session(agb_session): ready()

        def test_uses_none():
            while not list(SEEN.iterdir()):
                time.sleep(0.02)
            # Longer than a keeper stays that nobody needs.
            deadline = time.monotonic() + 7
            while time.monotonic() < deadline and not gone():
                time.sleep(0.02)
        """
    )

    assert "2 passed" in suite.run("-n2")

    suite.assert_says_nothing_left()
    suite.assert_nothing_left()


def kill_with_keeper(suite: Suite, run: subprocess.Popen[bytes], host: Path) -> None:
    """Kill a run and its keeper so that neither can act on the other's death."""
    suite.kill_group(run, signal.SIGSTOP)
    (keeper,) = host.glob("pytest-agb-*/run-*/members/keeper-*")
    os.kill(int(keeper.name.split("-")[1]), signal.SIGKILL)
    suite.kill_group(run, signal.SIGKILL)


def test_one_sweep_deletes_what_all_jobs_of_a_ci_run_left(suite: Suite, hosts: list[Path]) -> None:
    later = suite.service.add_session({"created_by": "pytest-agb", CI_RUN: "github-77-2"})
    suite.write(
        """
        def test_it(agb_session):
            ready()
            time.sleep(60)
        """
    )
    ci = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "77", "GITHUB_RUN_ATTEMPT": "1"}
    jobs = [(suite.start(environment={**ci, "TMPDIR": str(host)}), host) for host in hosts]
    suite.wait_until_ready(2)
    for job, host in jobs:
        with job:
            kill_with_keeper(suite, job, host)
    labels = [session.labels for session in suite.own]
    assert len({label.get(RUN) for label in labels}) == 3
    assert sorted({label[CI_RUN] for label in labels}) == ["github-77-1", "github-77-2"]

    sweep = subprocess.run(
        [sys.executable, "-m", "pytest_agb", "sweep", "--ci-run", "github-77-1"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert sweep.returncode == 0, sweep.stderr
    assert f"{len(labels) - 1} sessions deleted, 0 kept" in sweep.stdout
    eventually(lambda: [session.session_id for session in suite.own] == [later], "all are gone")
    suite.service.end_session(later)
    suite.assert_nothing_left()
