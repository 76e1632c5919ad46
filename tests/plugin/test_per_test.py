"""Hooks around each test are there where tests use sessions; each test knows that it is the current one."""

from __future__ import annotations

import pytest
from support.standin import StandIn
from support.variants import slow_but

REGISTERED = """
    def pytest_sessionfinish(session):
        for name in ("pytest_runtest_protocol", "pytest_runtest_setup"):
            found = getattr(session.config.hook, name).get_hookimpls()
            ours = [hook for hook in found if hook.function.__module__.startswith("pytest_agb")]
            print(f"{name}: {len(ours)} of ours")
"""


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def test_it(): pass", 0),
        ("def test_it(agb_session): pass", 1),
        ("def test_it(agb_session_factory): pass", 1),
        ("def test_it(request): request.getfixturevalue('agb_session')", 1),
    ],
    ids=["none", "session", "factory", "dynamic"],
)
def test_who_uses_no_session_pays_for_no_call(
    pytester: pytest.Pytester, cloud: StandIn, source: str, expected: int
) -> None:
    pytester.makeconftest(REGISTERED)
    pytester.makepyfile(source)

    result = pytester.runpytest_subprocess("-p", "no:forked")

    result.assert_outcomes(passed=1)
    for name in ("pytest_runtest_protocol", "pytest_runtest_setup"):
        result.stdout.fnmatch_lines([f"*{name}: {expected} of ours"])


def test_what_a_conftest_skips_is_not_looked_at(pytester: pytest.Pytester, cloud: StandIn) -> None:
    pytester.makeconftest(
        """
        import pytest

        def pytest_runtest_setup(item): pytest.skip("not here")
        """
    )
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.agb(image="agb-code-space-2")
        def test_with_a_marker_that_would_be_ignored(agb_session): pass
        """
    )
    pytester.runpytest_subprocess("--agb-scope=module").assert_outcomes(skipped=1)


ASKS = {
    "session": "def test_it(agb_session):",
    "factory": "def test_it(agb_session_factory):\n    agb_session_factory()",
    "dynamic": "def test_it(request):\n    request.getfixturevalue('agb_session')",
    "dynamic-later": "def test_first(agb_session_factory): pass\n"
    "def test_it(request):\n    request.getfixturevalue('agb_session')",
}


@pytest.mark.parametrize(
    ("workers", "asks"),
    slow_but(lambda workers, asks: (workers > 0) == (asks == "dynamic-later"), [0, 1], ASKS),
)
def test_whoever_waits_for_a_session_says_so_in_its_report(
    pytester: pytest.Pytester, cloud: StandIn, asks: str, workers: int
) -> None:
    cloud.latency["/mcp/createSession"] = 1.0
    pytester.makeconftest(
        """
        from pytest_agb.plugin.report import wait_line
        wait_line._QUIET_SECONDS = 0.1
        """
    )
    pytester.makepyfile(f"{ASKS[asks]}\n    assert False\n")

    result = pytester.runpytest_subprocess("-p", "no:randomly", *([f"-n{workers}"] if workers else []))

    result.stdout.fnmatch_lines(["*Captured agb setup*", "waited * s for a session: one is being created"])
    assert "test_it" in result.stdout.str()


def test_a_line_names_the_test_that_waits_with_a_factory_of_a_wide_scope(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    cloud.latency["/mcp/createSession"] = 1.0
    pytester.makeconftest(
        """
        from pytest_agb.plugin.report import wait_line
        wait_line._QUIET_SECONDS = 0.1
        """
    )
    pytester.makepyfile(
        """
        def test_one(agb_session_factory): agb_session_factory()
        def test_two(agb_session_factory): agb_session_factory()
        """
    )
    result = pytester.runpytest_subprocess("-p", "no:randomly", "--agb-scope=module")

    result.assert_outcomes(passed=2)
    for test in ("test_one", "test_two"):
        result.stdout.fnmatch_lines([f"agb: *::{test} waits for a session: *"])
