"""With pytest-subprocess, which starts no process that a test has not registered."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import Suite

LOADS = ("pytest-subprocess",)

TESTS = """
    import subprocess

    def use_both(session, agb, factory, fp):
        fp.register(["git", "status"], stdout="clean")
        use_sandbox(session, agb)
        use_sandbox(factory())
        assert subprocess.run(["git", "status"], capture_output=True, text=True).stdout == "clean"
        assert list(fp.calls) == [["git", "status"]]
        with pytest.raises(fp.exceptions.ProcessNotRegisteredError):
            subprocess.Popen([sys.executable, "-c", "pass"])

    def test_fake_first(fp, agb_session, agb, agb_session_factory):
        use_both(agb_session, agb, agb_session_factory, fp)

    def test_session_first(agb_session, agb, agb_session_factory, fp):
        use_both(agb_session, agb, agb_session_factory, fp)

    def test_the_keeper_is_started_again(agb_session, agb, agb_session_factory, fp, _agb_pool):
        keeper, = [name for name in os.listdir(_agb_pool()._process()._run / "members") if "keeper" in name]
        os.kill(int(keeper.split("-")[1]), signal.SIGKILL)
        use_both(agb_session, agb, agb_session_factory, fp)
"""


@pytest.mark.parametrize("way", TRIED)
def test_sandboxes_are_reached_and_no_process_is_started_that_the_test_would_see(
    suite: Suite, way: str
) -> None:
    answer_tools(suite)
    suite.write(joined(SANDBOX, TESTS))

    assert "3 passed" in suite.run("-p", "no:randomly", *WAYS[way]), suite.output

    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=9)


@pytest.mark.parametrize("way", TRIED)
def test_who_asks_as_it_runs_joins_beside_it(suite: Suite, way: str) -> None:
    answer_tools(suite)
    suite.write(
        joined(
            SANDBOX,
            """
            def test_late(fp, request): use_sandbox(request.getfixturevalue("agb_session"))

            @pytest.mark.parametrize("number", range(2))
            def test_after(request, number): use_sandbox(request.getfixturevalue("agb_session"))
            """,
        )
    )

    assert "3 passed" in suite.run("-p", "no:randomly", *WAYS[way]), suite.output

    suite.assert_says_nothing_left()
