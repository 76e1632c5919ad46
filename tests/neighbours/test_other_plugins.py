"""With plugins that run a test again, in a process of its own, or in another order."""

from __future__ import annotations

import pytest
from support.suite import Suite

from pytest_agb.labels import RUN, SLOT

pytestmark = pytest.mark.slow

#: Each use of a session leaves a file that is named after it.
USE = """
    def use(session, name):
        session.get_status().check()
        (SEEN / f"{name} {session.session_id}").write_text("")
"""


def uses(suite: Suite) -> list[list[str]]:
    """Name and session of each use."""
    return sorted(path.name.split() for path in suite.seen.iterdir())


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_a_rerun_gets_a_new_session(suite: Suite, workers: list[str]) -> None:
    """A sandbox that a failed test has used may be what made it fail."""
    suite.write(
        USE
        + """
    def test_it(agb_session):
        use(agb_session, "it")
        assert len(list(SEEN.iterdir())) == 2
    """
    )

    output = suite.run("--reruns=1", *workers)

    assert "1 passed, 1 rerun" in output
    assert len(uses(suite)) == 2
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)


def test_a_rerun_after_a_failed_setup_deletes_what_the_setup_had(suite: Suite) -> None:
    suite.write(
        USE
        + """
    @pytest.fixture
    def prepared(agb_session):
        use(agb_session, "setup")
        assert len(list(SEEN.iterdir())) == 2

    def test_it(prepared): pass
    """
    )

    output = suite.run("--reruns=1")

    assert "1 passed, 1 rerun" in output
    assert len(uses(suite)) == 2
    suite.assert_says_nothing_left()
    suite.assert_nothing_left(created=2)


# What a forked test did is told by its files: pytest-forked 1.7.5 can't send pytest 9.2's reports, and says
# of each test that it crashed.


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


def test_with_one_random_seed_no_two_slots_or_runs_are_the_same(suite: Suite) -> None:
    suite.write(
        """
        import random

        @pytest.mark.parametrize("number", range(6))
        def test_it(agb_session, number):
            (SEEN / str(random.random())).write_text("")
        """
    )

    for workers in ["-n2", "-n0"]:
        assert "6 passed" in suite.run(workers, "-p", "randomly", "--randomly-seed=7")
        suite.assert_says_nothing_left()

    assert len(list(suite.seen.iterdir())) == 6, "the two runs were not seeded alike"
    labels = [session.labels for session in suite.created]
    assert len({label[SLOT] for label in labels}) == len(labels)
    assert len({label[RUN] for label in labels}) == 2
    suite.assert_nothing_left(created=12)


@pytest.mark.slow
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
