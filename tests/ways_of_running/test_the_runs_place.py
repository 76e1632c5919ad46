"""A run's files stay where they were at the start, wherever tests move the temp directory or themselves."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clocks import WAYS
from support.suite import USE, Suite
from support.variants import slow_but

#: What is done to the process before each session is asked for, and not undone before its end.
MOVES = {
    "tempfile": "import tempfile; tempfile.tempdir = str(tmp_path)",
    "TMPDIR": "import tempfile; os.environ['TMPDIR'] = str(tmp_path); tempfile.tempdir = None",
    "nowhere": "import tempfile; tempfile.tempdir = '/nonexistent'",
    "environment": "os.environ.clear()",
    "poisoned": "os.environ.update(dict.fromkeys(['HOME', 'PATH', 'PYTHONPATH', 'PYTHONHOME', 'LC_ALL', "
    "'AGB_TIMEOUT_MS', 'TMPDIR'], '/nonexistent'))",
    "directory": "os.chdir(tmp_path); tmp_path.rmdir()",
}


@pytest.mark.parametrize(
    ("way", "move"),
    slow_but(
        lambda way, move: way == "plain" or move in ("TMPDIR", "poisoned"),
        ["plain", "xdist", "plain-local"],
        MOVES,
    ),
)
def test_sessions_are_had_and_deleted_all_the_same(
    suite: Suite, temp_directory: Path, way: str, move: str
) -> None:
    suite.write(
        USE
        + f"""
    @pytest.fixture
    def moved(tmp_path):
        {MOVES[move]}

    def test_moved_first(moved, agb_session): use(agb_session, "first")

    def test_session_first(agb_session, moved, agb_session_factory, agb):
        use(agb_session, "before")
        use(agb_session_factory(), "after")
        assert agb.list().success
    """
    )

    assert "2 passed" in suite.run("-p", "no:randomly", *WAYS[way])

    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=3)


@pytest.mark.parametrize("moved", ["tempfile.tempdir = str(new)", "os.environ['TMPDIR'] = str(new)"])
def test_a_keeper_that_is_started_again_finds_the_run(suite: Suite, temp_directory: Path, moved: str) -> None:
    suite.write(
        USE
        + f"""
    import tempfile

    def test_it(agb_session_factory, tmp_path_factory):
        run, = pathlib.Path(tempfile.gettempdir()).glob("pytest-agb-*/run-*")
        keeper, = (run / "members").glob("keeper-*")
        new = tmp_path_factory.mktemp("new")
        {moved}
        os.kill(int(keeper.name.split("-")[1]), signal.SIGKILL)
        use(agb_session_factory(), "after")
        assert not list(new.iterdir())
    """
    )

    assert "1 passed" in suite.run()

    suite.assert_says_nothing_left()
    suite.assert_nothing_left()
