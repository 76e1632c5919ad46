"""Whose a session is, its own labels say: listings may ignore their filter, and answers name another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS, finish, in_a_fork, kill_keeper
from support.standin import StandIn

from pytest_agb.client import AGB, AGBError
from pytest_agb.pool.pool import Pool
from pytest_agb.pool.shutdown import drain
from pytest_agb.run import ownership as ownership_rules
from pytest_agb.run import run_directory
from pytest_agb.run.ownership import Ownership, roll_call
from pytest_agb.settings import Settings

CREATE, LIST, LABELS = "/mcp/createSession", "/sdk/ListSession", "/sdk/GetLabel"
RUN = "run-00000001"
#: Some look like ours in all but one label, and some have none.
FOREIGN: tuple[dict[str, str], ...] = (
    {"project": "demo"},
    {},
    {"created_by": "pytest-agb", "agb_run": "other", "agb_slot": "0123456789abcdef"},
    {"created_by": "agb-sdk", "agb_run": RUN, "agb_slot": "a"},
)

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork.*:DeprecationWarning")


@pytest.fixture
def foreign(service: StandIn) -> set[str]:
    return {service.add_session(FOREIGN[number % len(FOREIGN)]) for number in range(60)}


def live(service: StandIn) -> set[str]:
    return {session.session_id for session in service.live_sessions()}


def ours(slot: str) -> dict[str, str]:
    return {"created_by": "pytest-agb", "agb_run": RUN, "agb_slot": slot}


# ---- a create whose answer was lost ----------------------------------------------------------------------


@pytest.mark.parametrize("late", [0.0, 1.5], ids=["labels at once", "labels late"])
def test_a_listing_that_ignores_its_filter_costs_no_foreign_session(
    service: StandIn, pools: Callable[[], Pool], settings: Settings, foreign: set[str], late: float
) -> None:
    service.labels_readable_seconds = late
    service.fault(CREATE, "drop_after")
    service.fault(LIST, "ignores_filter", times=1000)

    lease = pools().acquire(PARAMS)

    assert live(service) == foreign | {lease.session.session_id}
    assert lease.session.session_id not in foreign
    pools().release(lease)
    assert finish(settings) == (1, 1, 0)
    assert live(service) == foreign


def test_the_next_run_finds_the_lost_session_of_a_dead_one(
    service: StandIn, pools: Callable[[], Pool], settings: Settings, foreign: set[str]
) -> None:
    service.fault(CREATE, "drop_after")
    service.label_lag_seconds = 3.0
    service.fault(LIST, "ignores_filter", times=1000)
    dead = settings._replace(run_id="run-00000000", wait_timeout=0.3)

    def child() -> None:
        with pytest.raises(AGBError):
            Pool(dead).acquire(PARAMS)
        kill_keeper(dead)

    assert in_a_fork(child) == 0
    (lost,) = live(service) - foreign

    pools().acquire(PARAMS)

    eventually(lambda: lost not in live(service), "what the dead run lost is deleted", seconds=30)
    assert foreign < live(service)
    eventually(lambda: not run_directory.path("run-00000000").exists(), "its directory is removed")


# ---- an answer that names a session which the run had already --------------------------------------------


def test_an_answer_that_names_a_session_which_is_held_is_refused(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    first = pool.acquire(PARAMS)
    service.answers_to_creates.append(first.session.session_id)

    second = pool.acquire(PARAMS)

    assert second.session.session_id != first.session.session_id
    assert live(service) == {first.session.session_id, second.session.session_id}
    pool.release(second)
    eventually(lambda: live(service) == {first.session.session_id}, "the second one is deleted alone")
    assert first.session.get_status().success


def test_whoever_waits_for_a_session_whose_answer_named_another_learns_that(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    first = pool.acquire(PARAMS)
    service.answers_to_creates.append(first.session.session_id)
    service.fault(LIST, "html", times=3)

    with pytest.raises(AGBError, match="answered with session session-000001, which this run had before"):
        pool.acquire(PARAMS)

    assert first.session.get_status().success


def test_an_answer_that_names_a_session_which_is_gone_leads_to_the_new_one(
    service: StandIn, pools: Callable[[], Pool], settings: Settings
) -> None:
    pool = pools()
    first = pool.acquire(PARAMS)
    pool.release(first)
    eventually(lambda: not live(service), "the first one is gone")
    service.answers_to_creates.append(first.session.session_id)

    second = pool.acquire(PARAMS)

    assert live(service) == {second.session.session_id}
    pool.release(second)
    assert finish(settings) == (2, 2, 0)


@pytest.fixture
def agb(service: StandIn) -> Iterator[AGB]:
    with AGB(service.api_key, service.endpoint, 10.0) as agb:
        yield agb


# ---- what is counted at the end --------------------------------------------------------------------------


def test_what_is_counted_as_left_is_the_runs_own(
    service: StandIn, pools: Callable[[], Pool], settings: Settings, foreign: set[str]
) -> None:
    pool = pools()
    pool.release(pool.acquire(PARAMS))
    forgotten = service.add_session(ours("of nobody here"))
    pool.close()
    service.fault(LIST, "ignores_filter", times=1000)

    summary = drain(settings, lambda left: None)

    assert summary is not None
    assert (summary.deleted, summary.listed) == (1, (forgotten,))


def test_waiting_for_other_hosts_counts_the_runs_own(
    service: StandIn, settings: Settings, foreign: set[str]
) -> None:
    others = [service.add_session(ours("x")), service.add_session(ours("y"))]
    service.fault(LIST, "ignores_filter", times=1000)
    shown: list[int] = []

    def progress(left: int) -> None:
        shown.append(left)
        service.end_session(others[-1])
        others.pop()

    summary = drain(settings, progress, elsewhere=True)

    assert shown == [2, 1]
    assert summary is not None
    assert (summary.listed, summary.stopped) == ((), "")
    labelled = len(foreign) * 3 // 4
    assert service.count(LABELS) == labelled + 2 + 3 * (len(foreign) - labelled)


def test_a_session_of_the_run_whose_labels_come_late_is_counted(service: StandIn, agb: AGB) -> None:
    session_id = service.add_session(ours("a"))
    service.labels_readable_seconds = 1.0

    assert roll_call(agb, RUN, Ownership(RUN)).told == (session_id,)


def test_nothing_is_claimed_where_sessions_do_not_say_whose_they_are(
    service: StandIn, agb: AGB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership_rules, "ROLL_CALL_SECONDS", 0.7)
    service.add_session(ours("a"))
    service.labels_readable_seconds = 1000.0

    assert roll_call(agb, RUN, Ownership(RUN)).told is None
    assert service.count(LABELS) == 2


def test_a_roll_call_among_thousands_ends_in_time(
    service: StandIn, agb: AGB, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ownership_rules, "ROLL_CALL_SECONDS", 0.5)
    for _ in range(2000):
        service.add_session({"project": "demo"})
    service.fault(LIST, "ignores_filter", times=1000)
    service.latency[LABELS] = 0.05

    assert roll_call(agb, RUN, Ownership(RUN)).told is None
    assert service.count(LABELS) <= 10
