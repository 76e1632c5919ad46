"""A whole run beside sessions of others, on a service that ignores filters and loses and mixes up answers."""

from __future__ import annotations

import pytest
from support.standin import StandIn

LIST, CREATE = "/sdk/ListSession", "/mcp/createSession"


def add_others(cloud: StandIn) -> set[str]:
    """Sessions of others in the account: some look like ours, and some have no labels."""
    labels: list[dict[str, str]] = [
        {"project": "demo"},
        {},
        {"created_by": "pytest-agb", "agb_run": "other", "agb_slot": "0123456789abcdef"},
    ]
    return {cloud.add_session(labels[number % 3]) for number in range(60)}


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["alone", "xdist"])
def test_a_lost_answer_and_a_listing_without_a_filter_cost_others_nothing(
    pytester: pytest.Pytester, cloud: StandIn, workers: tuple[str, ...]
) -> None:
    others = add_others(cloud)
    cloud.fault(CREATE, "drop_after")
    cloud.fault(LIST, "ignores_filter", times=10_000)
    cloud.labels_readable_seconds = 0.5
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.parametrize("number", range(4))
        def test_it(agb_session, number):
            agb_session.info().check()
        """
    )

    result = pytester.runpytest_subprocess(*workers)

    result.assert_outcomes(passed=4)
    result.stdout.fnmatch_lines(["agb: * sessions created, * deleted, 0 kept, 0 left"])
    assert {session.session_id for session in cloud.live_sessions()} == others


def test_an_answer_that_names_a_session_in_use_gives_nobody_that_session(
    pytester: pytest.Pytester, cloud: StandIn
) -> None:
    others = add_others(cloud)
    cloud.fault(LIST, "ignores_filter", times=10_000)
    # All are answered with the first session of the run.
    first = f"session-{len(others) + 1:06d}"
    cloud.answers_to_creates.extend([first] * 3)
    pytester.makepyfile(
        """
        def test_it(agb_session, agb_session_factory):
            sessions = [agb_session, agb_session_factory(), agb_session_factory()]
            assert len({session.session_id for session in sessions}) == 3
            for session in sessions:
                session.info().check()
        """
    )

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: 3 sessions created, 3 deleted, 0 kept, 0 left"])
    assert {session.session_id for session in cloud.live_sessions()} == others
