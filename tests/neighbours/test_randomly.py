"""With pytest-randomly, which changes the order of tests and seeds all chance."""

from __future__ import annotations

from support.suite import Suite

from pytest_agb.labels import RUN, SLOT


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
