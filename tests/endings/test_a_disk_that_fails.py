"""Whatever becomes of the run's files: tests have a clear error, the run comes to its end, nothing is left.

All sessions are deleted by a keeper that knows them without the files.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.deadline import eventually
from support.small_disk import CRUMBLE, FILL, NEARLY_FILL, SEAL, on_a_small_disk
from support.suite import Suite, background_processes, options
from support.variants import WORKERS_AND_SCOPES

pytestmark = WORKERS_AND_SCOPES

#: In the test that spoils it, the session lives on.
SUITE = """
    import subprocess, tempfile

    def test_before(agb_session): pass

    def test_spoils(agb_session):
        agb_session.get_status().check()
        subprocess.run({spoil!r}, shell=True, cwd=tempfile.gettempdir())
        agb_session.get_status().check()

    @pytest.mark.parametrize("number", range(3))
    def test_after(agb_session_factory, number):
        agb_session_factory().get_status().check()

    def test_without(): pass
"""

RUN = "pytest-agb-*/run-*"
OVERWRITE = "dd if=/dev/urandom of=$file bs=1k count=100 conv=notrunc 2> /dev/null"


def check(suite: Suite, temp_directory: Path, what: str) -> None:
    suite.assert_nothing_left(created=0)
    eventually(lambda: not background_processes(temp_directory), "the keeper has seen all gone, and left")
    assert "INTERNALERROR" not in suite.output
    assert "sqlite3." not in suite.output
    assert "OSError" not in suite.output
    assert " passed" in suite.output
    if what:
        assert f"agb: what became of the run's sessions is not known here: {what}" in suite.output
        assert "agb: the service lists none of them any more" in suite.output


@pytest.mark.parametrize(
    ("spoil", "trouble"),
    [
        pytest.param(FILL, "the run's ", id="full"),
        pytest.param(SEAL, "the temp directory ", id="read-only"),
    ],
)
def test_a_disk(
    suite: Suite, temp_directory: Path, workers: list[str], scope: str, spoil: str, trouble: str
) -> None:
    suite.write(SUITE.format(spoil=spoil))
    with suite.start(*options(workers, scope), prefix=on_a_small_disk(temp_directory)) as process:
        process.wait(60)
    check(suite, temp_directory, trouble)


@pytest.mark.parametrize(
    ("first", "inodes", "trouble"),
    [
        pytest.param(NEARLY_FILL, 1000, "database or disk is full. Free space", id="room"),
        pytest.param(CRUMBLE, 100, "", id="inodes"),
    ],
)
def test_a_disk_that_is_full_from_the_start(
    suite: Suite, temp_directory: Path, workers: list[str], scope: str, first: str, inodes: int, trouble: str
) -> None:
    suite.write(SUITE.format(spoil="true"))
    disk = on_a_small_disk(temp_directory, inodes=inodes, first=first)
    with suite.start(*options(workers, scope), prefix=disk) as process:
        process.wait(60)
    check(suite, temp_directory, "")
    assert "no AGB session: " in suite.output
    assert trouble in suite.output


@pytest.mark.parametrize(
    ("spoil", "trouble"),
    [
        pytest.param(f"rm {RUN}/slots.sqlite3*", "the run's state in ", id="database-removed"),
        pytest.param(
            f"for file in {RUN}/slots.sqlite3 {RUN}/slots.sqlite3-wal; do {OVERWRITE}; done",
            "the run's state in ",
            id="database-overwritten",
        ),
        pytest.param(f"rm {RUN}/keeper.json {RUN}/account.json", "", id="reports-removed"),
        pytest.param(f"for file in {RUN}/*.json; do {OVERWRITE}; done", "", id="reports-overwritten"),
    ],
)
def test_files_of_the_run(
    suite: Suite, temp_directory: Path, workers: list[str], scope: str, spoil: str, trouble: str
) -> None:
    suite.write(SUITE.format(spoil=spoil))
    suite.run(*options(workers, scope))
    check(suite, temp_directory, trouble)
    if not trouble:
        suite.assert_says_nothing_left()


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(f"rm -rf {RUN}", id="the run's"),
        pytest.param("rm -rf pytest-agb-*", id="the user's"),
        pytest.param(
            "rm -rf pytest-agb-* && mkdir -m 755 pytest-agb-$(id -u)", id="the user's, remade for all"
        ),
    ],
)
def test_a_directory_that_is_removed(
    suite: Suite, temp_directory: Path, workers: list[str], scope: str, spoil: str
) -> None:
    """Whoever asks next joins the run anew."""
    suite.write(SUITE.format(spoil=spoil))
    suite.run(*options(workers, scope))
    check(suite, temp_directory, "")
    assert "was removed as it went on: what was created before is not counted here" in suite.output
