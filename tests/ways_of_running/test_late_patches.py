"""Who asks for a session only as it runs, when something it takes is replaced by then, is told by what."""

from __future__ import annotations

import pytest
from support.suite import Suite

TESTS = """
    from unittest import mock

    @pytest.fixture
    def session(request): return lambda: request.getfixturevalue("agb_session")

    def refuse(*arguments, **options): raise ValueError("not here")

    def test_os(session):
        with mock.patch("os.open", refuse): session()

    def test_sqlite(session):
        import sqlite3
        with mock.patch("sqlite3.connect"): session()

    def test_client(request):
        with mock.patch("pathlib.Path.mkdir", refuse): request.getfixturevalue("agb")

    def test_after(session): assert session().get_status().success

    def test_joined_by_now(session):
        with mock.patch("select.select", refuse), mock.patch("pathlib.Path.mkdir", refuse): session()
"""


@pytest.mark.parametrize(
    "workers", [[], pytest.param(["-n2"], marks=pytest.mark.slow)], ids=["plain", "xdist"]
)
def test_the_error_names_what_is_replaced_and_by_whom(suite: Suite, workers: list[str]) -> None:
    suite.write(TESTS)

    output = suite.run("--tb=short", "--dist=loadfile", *workers)

    assert "3 failed, 2 passed" in output, output
    assert "while os.open is replaced by test_suite. Name the fixture" in output
    assert "while sqlite3.connect is replaced by unittest.mock. Name the fixture" in output
    assert "while pathlib.Path.mkdir is replaced by test_suite (ValueError: not here)" in output
    assert "Traceback" not in output
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)
