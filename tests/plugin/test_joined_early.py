"""A process joins the run before its first test, where one is known to ask for a session, and only there."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.clocks import WAYS
from support.suite import Suite
from support.variants import slow_but

LOOK = """
    import tempfile

    def files():
        return {path.name for path in pathlib.Path(tempfile.gettempdir()).glob("pytest-agb-*/run-*/*")}
"""
#: How a test comes to name our fixtures.
NAMED = {
    "argument": "def test_b(agb_session): pass",
    "usefixtures": """
    @pytest.mark.usefixtures("agb_session")
    class TestB:
        def test_b(self): pass
    """,
    "fixture": """
    @pytest.fixture
    def own(agb_session_factory): return agb_session_factory()

    def test_b(own): pass
    """,
    "unittest": """
    import unittest

    @pytest.mark.usefixtures("agb_session")
    class TestB(unittest.TestCase):
        def test_b(self): pass
    """,
}


@pytest.mark.parametrize(
    ("workers", "named"),
    slow_but(lambda workers, named: not workers and named in ("fixture", "unittest"), [0, 2], NAMED),
)
def test_directory_and_keeper_stand_before_the_first_test_and_no_session(
    suite: Suite, named: str, workers: int
) -> None:
    options = [f"-n{workers}"] if workers else []
    suite.write(
        LOOK
        + """
    def test_a():
        assert {"members", "slots.sqlite3", "keeper.json"} <= files()
        assert "pytest_agb.client.http.transport" in sys.modules
        ready()
    """
        + NAMED[named]
        + """

    def test_c(): pass
    """
    )

    suite.run(*options, "-k", "test_a or test_c or own")
    assert not list(suite.seen.iterdir()), "without a test that names a fixture of ours nobody joins"
    assert suite.service.requests == []

    assert "3 passed" in suite.run(*options)
    assert list(suite.seen.iterdir())
    suite.assert_says_nothing_left()
    suite.assert_nothing_left()


def test_an_autouse_fixture_that_asks_makes_all_tests_ask(suite: Suite) -> None:
    suite.write(
        LOOK
        + """
    @pytest.fixture(autouse=True, scope="session")
    def looks():
        assert "keeper.json" in files()

    @pytest.fixture(autouse=True)
    def asks(looks, agb_session): pass

    def test_it(): pass
    """
    )

    assert "1 passed" in suite.run()

    suite.assert_nothing_left()


@pytest.mark.parametrize("way", ["plain-local", "xdist-local"])
def test_the_local_server_stands_before_the_first_test(suite: Suite, way: str) -> None:
    suite.write(
        LOOK
        + """
    def test_a():
        assert {"keeper.json", "server.json"} <= files()

    def test_b(agb_session): pass
    """
    )

    assert "2 passed" in suite.run(*WAYS[way])

    suite.assert_says_nothing_left()


SKIPPED = """
    @pytest.mark.skip(reason="why not")
    def test_skip(agb_session): pass

    @pytest.mark.skipif(True, reason="why not")
    def test_skipif(agb_session): pass

    @pytest.mark.skipif("sys.version_info > (3,)", reason="why not")
    def test_skipif_text(agb_session): pass

    @pytest.mark.usefixtures("agb_session")
    @pytest.mark.skip
    class TestSkipped:
        def test_it(self): pass
"""
ASKS = "def test_it(agb_session): pass"
#: What is run, and with which options, so that no test comes to ask for a session.
NOBODY_ASKS = {
    "collect-only": (ASKS, ["--collect-only"]),
    "setup-plan": (ASKS, ["--setup-plan"]),
    "-k": (ASKS + "\n    def test_other(): pass", ["-k", "other"]),
    "-m": (ASKS, ["-m", "nothing"]),
    "skipped": (SKIPPED, []),
    "image": ("def test_it(agb_image, agb_session_params): pass", []),
    "collection-error": (ASKS + "\n    @pytest.mark.parametrize('a', [1])\n    def test_wrong(): pass", []),
}


@pytest.mark.parametrize(
    ("workers", "why"), slow_but(lambda workers, why: not workers or why == "-k", [0, 1], NOBODY_ASKS)
)
def test_where_nobody_will_ask_nothing_is_started(
    suite: Suite, temp_directory: Path, workers: int, why: str
) -> None:
    source, options = NOBODY_ASKS[why]
    suite.write(source)

    assert "INTERNALERROR" not in suite.run(*options, *([f"-n{workers}"] if workers else []))

    assert not list(temp_directory.glob("pytest-agb-*"))
    assert suite.service.requests == []


def test_who_asks_as_it_runs_joins_then(suite: Suite) -> None:
    suite.write(
        LOOK
        + """
    def test_it(request):
        assert not files()
        request.getfixturevalue("agb_session").get_status().check()
        assert "keeper.json" in files()
    """
    )

    assert "1 passed" in suite.run()

    suite.assert_says_nothing_left()
    suite.assert_nothing_left()


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_a_run_in_which_nobody_came_to_ask_leaves_nothing_and_says_nothing(
    suite: Suite, temp_directory: Path, workers: list[str]
) -> None:
    suite.write(
        """
        @pytest.fixture
        def skips(): pytest.skip("after all")

        def test_it(skips, agb_session): pass
        """
    )

    assert "1 skipped" in suite.run(*workers)

    assert "agb: " not in suite.output.partition("test session starts")[2].partition("collected")[2]
    assert suite.service.count("/mcp/createSession") == 0


#: What goes wrong in joining, and the words of the error.
WRONG = {
    "no key": ("os.environ.pop('AGB_API_KEY', None)", "there is no API key"),
    "no directory": (
        "import tempfile; base = pathlib.Path(tempfile.gettempdir(), f'pytest-agb-{os.getuid()}'); "
        "base.exists() or base.write_text('')",
        "the run has no directory on this host",
    ),
    "no filelock": ("sys.modules['filelock'] = None", "filelock"),
}


@pytest.mark.parametrize(("spoil", "words"), WRONG.values(), ids=WRONG)
@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n2"], marks=pytest.mark.slow)], ids=["plain", "xdist"]
)
def test_what_goes_wrong_in_joining_fails_the_tests_that_ask_and_no_other(
    suite: Suite, spoil: str, words: str, workers: list[str]
) -> None:
    (suite.directory / "conftest.py").write_text(f"import os, pathlib, sys\n{spoil}\n")
    suite.write(
        """
        def test_a(): pass
        def test_b(agb_session): pass
        def test_c(agb_session): pass
        def test_d(): pass
        """
    )

    output = suite.run(*workers, "--agb-backend=cloud")

    assert "INTERNALERROR" not in output
    assert "2 passed" in output
    assert "2 errors" in output
    assert words in output
