"""The account's key stays where the user has put it: in the environment of pytest and its workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.files import contents
from support.suite import Suite

needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at processes in /proc")

#: Everything that makes pytest, xdist and loggers talkative.
TALKATIVE = (
    "-vv",
    "-rA",
    "--showlocals",
    "--setup-show",
    "--debug",
    "--junitxml=report.xml",
    "--log-file=log.txt",
    "--log-file-level=DEBUG",
    "-p",
    "cacheprovider",
)


@needs_proc
@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_no_process_no_file_and_no_output_shows_the_key(
    suite: Suite, workers: list[str], temp_directory: Path, tmp_path: Path
) -> None:
    key = suite.service.api_key.encode()
    suite.write(
        """
        from pytest_agb.plugin.stash import SETTINGS

        def test_it(agb, agb_session, agb_session_factory, agb_session_params, _agb_pool, pytestconfig):
            settings = pytestconfig.stash[SETTINGS]
            walked = [vars(thing) for thing in (agb, agb._transport, agb_session, _agb_pool, pytestconfig)]
            walked += [tuple(settings), settings._asdict(), getattr(pytestconfig, "workerinput", None)]
            ready()
            while not (SEEN / "go").exists():
                time.sleep(0.02)
            assert agb is agb_session is agb_session_factory is settings
        """
    )
    (suite.directory / "conftest.py").write_text(
        """
import pytest

@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    print("in the controller:", node.workerinput)
"""
    )
    with suite.start(*TALKATIVE, *workers) as process:
        suite.wait_until_ready()
        (keeper,) = temp_directory.glob("pytest-agb-*/run-*/members/keeper-*")
        keepers = Path("/proc", keeper.name.split("-")[1])
        environments = contents(Path(f"/proc/{process.pid}/environ"), keepers / "environ")
        core_limit = (keepers / "limits").read_text().partition("Max core file size")[2].split()[0]
        command_lines = contents(*Path("/proc").glob("[0-9]*/cmdline"))
        files = contents(*tmp_path.rglob("*"))
        (suite.seen / "go").write_text("")
    files.update(contents(*tmp_path.rglob("*")))

    assert [path for path, environment in environments.items() if key in environment] == [
        Path(f"/proc/{process.pid}/environ")
    ]
    assert core_limit == "0"
    assert any(b"--log-file=log.txt" in line for line in command_lines.values())
    assert {"output.txt", "log.txt", "report.xml", "pytestdebug.log"} <= {path.name for path in files}
    assert b"assert" in files[suite.directory / "output.txt"]
    shown = [path for path, content in {**command_lines, **files}.items() if key in content]
    assert shown == []
    suite.assert_nothing_left()
