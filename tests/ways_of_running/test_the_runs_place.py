"""A run's files stay where they were at the start, wherever tests move the temp directory or themselves."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
from support.clocks import WAYS
from support.deadline import eventually
from support.mocks import SANDBOX, answer_tools, joined
from support.suite import USE, Suite
from support.variants import slow_but

from pytest_agb.run import run_directory

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

    assert "2 passed" in suite.run("-o", "tmp_path_retention_policy=none", *WAYS[way])

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


#: What TMPDIR is, below the directory that pytest is started in. Python takes another if it is not there.
SERVING = {
    "here": ".",
    "longest": "/".join(["x" * 50] * 4),
    "blanks": "with some blanks",
    "relative": "below",
    "link": "link",
    "none": "nonexistent",
}


@pytest.mark.parametrize(
    "tmpdir",
    [name if name in ("here", "longest") else pytest.param(name, marks=pytest.mark.slow) for name in SERVING],
)
def test_a_temp_directory_that_can_serve_does(
    suite: Suite, monkeypatch: pytest.MonkeyPatch, tmpdir: str
) -> None:
    suite.write(joined(SANDBOX, "def test_it(agb_session, tmp_path): use_sandbox(agb_session)"))
    (suite.directory / "real").mkdir()
    (suite.directory / "link").symlink_to("real")
    if tmpdir not in ("link", "none"):
        (suite.directory / SERVING[tmpdir]).mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("TMPDIR", SERVING[tmpdir])
    if tmpdir == "longest":  # what is added to it: the user's directory, the run's, the file's name
        above = f"{suite.directory}/{SERVING[tmpdir]}/"
        rest = f"/pytest-agb-{os.getuid()}/run-01234567/slots.sqlite3-journal"
        longest = Path(above + "y" * (512 - len(above + rest)))
        longest.mkdir()
        monkeypatch.setenv("TMPDIR", str(longest))

    assert "1 passed" in suite.run(*WAYS["plain-local"]), suite.output

    suite.assert_says_nothing_left()
    eventually(lambda: not processes_below(suite.directory), "the run's processes have left")


def test_a_temp_directory_that_is_too_long_is_named_before_the_first_test(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    too_long = suite.directory / "/".join(["x" * 100] * 8)
    too_long.mkdir(parents=True)
    monkeypatch.setenv("TMPDIR", str(too_long))
    suite.write("def test_a(): pass\ndef test_b(agb_session): pass")

    with suite.start() as process:
        assert process.wait(60) == pytest.ExitCode.USAGE_ERROR
    (error,) = [line for line in suite.output.splitlines() if line.startswith("ERROR")]
    assert "no AGB sessions: the temp directory /" in error
    assert "set TMPDIR to a shorter one" in error

    assert "1 passed" in suite.run("-k", "test_a"), "who uses no session is not kept from anything"

    output = suite.run("-n2")
    assert "1 passed, 1 error" in output
    assert "set TMPDIR to a shorter one" in output
    assert "INTERNALERROR" not in output
    assert suite.service.requests == []


def test_where_nothing_can_be_written_who_asks_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def none_usable() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr("tempfile.gettempdir", none_usable)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nonexistent"))

    found = run_directory.temp_directory()

    assert found == str(tmp_path / "nonexistent")
    assert "can't be written; set TMPDIR" in run_directory.unfit("run-00000001", found)


REMOVED = """
    import shutil

    def test_before(agb_session): use_sandbox(agb_session)

    def test_removes(agb_session):
        shutil.rmtree(os.environ["TMPDIR"], ignore_errors=True)
        os.makedirs(os.environ["TMPDIR"], exist_ok=True)

    def test_after(agb_session): use_sandbox(agb_session)

    def test_last(agb_session): use_sandbox(agb_session)
"""
#: How each way of removing it ends: the outcome, and how many errors say so.
ENDS = {
    "plain": (["--agb-scope=function"], "4 passed, 1 error", 1),
    "plain-local": (["--agb-scope=function"], "4 passed, 1 error", 1),
    "plain-renewed": (["--agb-scope=session", "-o", "agb_renew=true"], "3 passed, 1 error", 1),
    "plain-shared": (["--agb-scope=session"], "2 passed, 3 errors", 3),
}


@pytest.mark.parametrize(
    "way", ["plain-local", *(pytest.param(w, marks=pytest.mark.slow) for w in ENDS if w != "plain-local")]
)
def test_a_temp_directory_that_a_test_removes_is_one_clear_error_and_nothing_is_left(
    suite: Suite, temp_directory: Path, way: str
) -> None:
    options, outcome, errors = ENDS[way]
    answer_tools(suite)
    suite.write(joined(SANDBOX, REMOVED))

    output = suite.run("--tb=short", *options, *WAYS["plain-local" if "local" in way else "plain"])

    assert outcome in output, output
    told = [line for line in output.splitlines() if "was removed as it went on" in line]
    assert len([line for line in told if not line.startswith("agb: ")]) == errors, output
    assert [line for line in told if line.startswith("agb: ")], output
    assert "Traceback" not in output
    suite.assert_nothing_left(created=0)
    eventually(lambda: not processes_below(temp_directory), "the run's processes have left")


def processes_below(directory: Path) -> list[str]:
    """The working directories below ``directory`` that processes have, removed ones too."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            found.append(str(process.readlink()))
    return [name for name in found if name.startswith(f"{directory}/")]
