"""With pytest-recording, which answers requests from cassettes, and can block the network besides."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("recording",)

CASSETTE = """\
interactions:
- request: {body: null, headers: {}, method: GET, uri: "https://example.org/known"}
  response: {body: {string: mocked}, headers: {}, status: {code: 200, message: OK}}
version: 1
"""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "blocked", [[], ["--block-network", "--allowed-hosts=127.0.0.1"]], ids=["", "blocked"]
)
def test_sandboxes_are_reached_and_cassettes_hold_the_tests_own_requests(
    suite: Suite, way: str, blocked: list[str]
) -> None:
    answer_tools(suite)
    cassette = suite.directory / "cassettes" / "test_suite" / "test_it.yaml"
    cassette.parent.mkdir(parents=True)
    cassette.write_text(CASSETTE)
    suite.write(
        joined(
            SANDBOX,
            """
            import httpx
            from vcr.errors import CannotOverwriteExistingCassetteException

            @pytest.mark.vcr
            def test_it(vcr, agb_session, agb):
                use_sandbox(agb_session, agb)
                assert httpx.get("https://example.org/known").text == "mocked"
                use_sandbox(agb_session, agb)
                assert vcr.play_count == 1 and vcr.all_played
                with pytest.raises(CannotOverwriteExistingCassetteException):
                    httpx.get("https://example.org/unknown")
            """,
        )
    )

    assert "1 passed" in suite.run(*WAYS[way], *blocked), suite.output

    assert cassette.read_text() == CASSETTE
    suite.assert_says_nothing_left()


@pytest.mark.parametrize("way", ["plain", "xdist-local"])
def test_a_blocked_call_says_who_blocks_it(suite: Suite, way: str) -> None:
    suite.write("def test_it(agb_session): agb_session.command.execute_command('true').check()")

    output = suite.run("--block-network", "--tb=short", *WAYS[way])

    told = [line for line in output.splitlines() if line.startswith("E  ")]
    assert len(told) == 1, output
    assert "pytest_recording.network keeps this test from http://127.0.0.1:" in told[0]
    assert "--allowed-hosts=127.0.0.1" in told[0]
    suite.assert_says_nothing_left()
