"""With pytest-forked, which runs each test in a process of its own."""

from __future__ import annotations

import pytest
from support.suite import USE, Suite, uses


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_each_forked_test_has_a_session_and_deletes_it(suite: Suite, workers: list[str]) -> None:
    """Scope `session` too ends with the child that has it: the next child is a fork of one that has none."""
    suite.write(
        USE
        + """
    @pytest.mark.parametrize("number", range(3))
    def test_it(agb_session, number):
        use(agb_session, number)
        (SEEN / f"pid {os.getpid()}").write_text("")
    """
    )

    suite.run("--forked", "--agb-scope=session", *workers)

    found = uses(suite)
    assert len({session for name, session in found if name != "pid"}) == 3
    assert len({pid for name, pid in found if name == "pid"}) == 3, "the tests were not forked"
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=3)


@pytest.mark.parametrize("scope", ["package", "session"])
def test_a_forked_test_uses_its_parents_session_and_does_not_end_it(suite: Suite, scope: str) -> None:
    suite.service.delete_seconds = 0.0
    suite.write(
        USE
        + """
    def test_before(agb_session, agb):
        use(agb_session, "before")

    @pytest.mark.forked
    def test_forked(agb_session, agb, agb_session_factory, agb_image):
        from pytest_agb import CreateSessionParams
        use(agb_session, "forked")
        use(agb_session_factory(), "own")
        use(agb.create(CreateSessionParams(agb_image)).check().session, "client")

    @pytest.mark.forked
    def test_crashes(agb_session, agb_session_factory):
        use(agb_session_factory(), "crashed")
        os._exit(3)

    def test_after(agb_session, agb_session_factory):
        use(agb_session, "after")
        use(agb_session_factory(), "another")
    """
    )

    suite.run("-p", "no:randomly", f"--agb-scope={scope}")

    found = dict(uses(suite))
    assert found["before"] == found["forked"] == found["after"]
    assert len(set(found.values())) == 5
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=5)


def test_a_forked_test_that_asks_dynamically_is_reported_too(suite: Suite) -> None:
    """The keeper leaves 5 s after the child: what it has to tell must be kept while other tests go on."""
    suite.service.delete_seconds = 0.0
    suite.write(
        """
        @pytest.mark.forked
        def test_forked(request): request.getfixturevalue("agb_session")

        def test_slow(): time.sleep(8)
        """
    )

    suite.run("-p", "no:randomly")

    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=1)
