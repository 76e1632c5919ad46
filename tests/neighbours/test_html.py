"""With pytest-html, which makes a page of the reports."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("html", "html_fixtures", "metadata")

TESTS = """
    def test_good(agb_session): use_sandbox(agb_session)

    def test_bad(agb_session): assert agb_session.command.execute_command("echo hello").output == "bye"
"""


@pytest.mark.parametrize("way", TRIED)
def test_the_page_shows_results_and_no_key(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, TESTS))

    output = suite.run("--html=page.html", "--self-contained-html", *WAYS[way])

    assert "1 failed, 1 passed" in output, output
    page = (suite.directory / "page.html").read_text()
    assert "test_good" in page
    assert "test_bad" in page
    assert suite.service.api_key not in page
    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=2)
