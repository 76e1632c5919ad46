"""Whose a session is, its own labels say: listings may ignore their filter, and answers name another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.deadline import eventually
from support.pool_runs import PARAMS, finish, in_a_fork, kill_keeper
from support.standin import StandIn

from pytest_agb.client import AGB, AGBError
from pytest_agb.keeper.finder import Finder, Look
from pytest_agb.keeper.janitor import Janitor, JanitorSettings
from pytest_agb.keeper.jobs import Jobs
from pytest_agb.pool.pool import Pool
from pytest_agb.pool.shutdown import drain
from pytest_agb.run import ownership as ownership_rules
from pytest_agb.run import run_directory
from pytest_agb.run.ownership import Ownership, roll_call
from pytest_agb.settings import Settings
from pytest_agb.store.database import lay_schema
from pytest_agb.store.state import State, database_path

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
    dead = settings._replace(run_id="run-00000000", wait_timeout=1.0)

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


# ---- what a look costs -----------------------------------------------------------------------------------


@pytest.fixture
def state(tmp_path: Path, settings: Settings) -> Iterator[State]:
    lay_schema(database_path(tmp_path))
    state = State(tmp_path, settings)
    yield state
    state.close()


@pytest.fixture
def agb(service: StandIn) -> Iterator[AGB]:
    with AGB(service.api_key, service.endpoint, 10.0) as agb:
        yield agb


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    jobs = Jobs(ThreadPoolExecutor(8))
    yield jobs
    jobs.close()


def looks(finder: Finder, jobs: Jobs, agb: AGB, *slots: str) -> list[Look]:
    """Look for the sessions of ``slots`` at once."""
    ended: list[Look] = []
    for slot in slots:
        finder.look(slot, agb, ended.append)
    while jobs.pending:
        jobs.finish(10.0)
    return ended


def test_a_look_is_bounded_and_the_next_goes_on_where_it_ended(
    service: StandIn, state: State, agb: AGB, jobs: Jobs
) -> None:
    for _ in range(100):
        service.add_session({"project": "demo"})
    session_id = service.add_session(ours("a"))
    service.fault(LIST, "ignores_filter", times=1000)
    finder = Finder(state.slots, Ownership(RUN), jobs, at_once=10, in_a_look=30)

    for number in (1, 2, 3):
        (look,) = looks(finder, jobs, agb, "a")
        assert (look.session_id, look.more, service.count(LABELS)) == (None, True, 30 * number)
    (look,) = looks(finder, jobs, agb, "a")

    assert (look.session_id, service.count(LABELS)) == (session_id, 101)


def test_sessions_without_labels_keep_no_other_from_being_asked(
    service: StandIn, state: State, agb: AGB, jobs: Jobs
) -> None:
    for _ in range(50):
        service.add_session({})
    service.fault(LIST, "ignores_filter", times=1000)
    finder = Finder(state.slots, Ownership(RUN), jobs, at_once=10, in_a_look=20)
    for _ in range(4):
        assert looks(finder, jobs, agb, "a")[0].session_id is None
    session_id = service.add_session(ours("a"))

    assert looks(finder, jobs, agb, "a")[0].session_id == session_id


def test_looks_at_once_ask_no_session_twice(service: StandIn, state: State, agb: AGB, jobs: Jobs) -> None:
    for _ in range(40):
        service.add_session({"project": "demo"})
    sessions = [service.add_session(ours(slot)) for slot in "abc"]
    service.fault(LIST, "ignores_filter", times=1000)
    service.latency[LABELS] = 0.01
    finder = Finder(state.slots, Ownership(RUN), jobs, at_once=5)

    looks(finder, jobs, agb, *"abc")
    found = [looks(finder, jobs, agb, slot)[0].session_id for slot in "abc"]

    assert found == sessions
    assert service.count(LABELS) == 43


@pytest.mark.parametrize("wrong", [{"agb_run": "other"}, {"created_by": "agb-sdk"}], ids=str)
def test_a_copy_of_the_slot_label_makes_no_session_ours(
    service: StandIn, state: State, agb: AGB, jobs: Jobs, wrong: dict[str, str]
) -> None:
    service.add_session({**ours("a"), **wrong})
    finder = Finder(state.slots, Ownership(RUN), jobs)
    assert looks(finder, jobs, agb, "a")[0].session_id is None

    session_id = service.add_session(ours("a"))
    service.add_session({**ours("a"), **wrong})
    assert looks(finder, jobs, agb, "a") == [Look(session_id)]


def test_an_id_that_the_service_gives_again_is_asked_again(
    service: StandIn, state: State, agb: AGB, jobs: Jobs
) -> None:
    session_id = service.add_session(ours("a"))
    ownership = Ownership(RUN)
    finder = Finder(state.slots, ownership, jobs)
    assert looks(finder, jobs, agb, "a") == [Look(session_id)]
    service.sessions[session_id].labels = ours("b")

    ownership.forget("a", session_id)

    assert looks(finder, jobs, agb, "b") == [Look(session_id)]
    assert looks(finder, jobs, agb, "a")[0].session_id is None


def test_what_slots_hold_is_not_asked(service: StandIn, state: State, agb: AGB, jobs: Jobs) -> None:
    state.slots.begin("a", spec="spec", member="keeper", idle_timeout=120, created_at=1000.0, expires_at=3400)
    state.slots.ready("a", service.add_session(ours("a")))
    session_id = service.add_session(ours("b"))
    service.fault(LIST, "ignores_filter", times=1000)
    finder = Finder(state.slots, Ownership(RUN), jobs)

    assert looks(finder, jobs, agb, "b") == [Look(session_id)]
    assert service.count(LABELS) == 1


@pytest.mark.parametrize("fault", ["503", "html"])
def test_labels_that_can_not_be_read_are_no_answer(
    service: StandIn, state: State, agb: AGB, jobs: Jobs, fault: str
) -> None:
    session_id = service.add_session(ours("a"))
    service.fault(LABELS, fault, times=4 if fault == "503" else 1)  # type: ignore[arg-type]
    finder = Finder(state.slots, Ownership(RUN), jobs)

    (look,) = looks(finder, jobs, agb, "a")
    assert (look.session_id, look.answered) == (None, False)
    assert "labels could not be read" in look.trouble

    assert looks(finder, jobs, agb, "a") == [Look(session_id)]


def test_a_session_without_labels_is_asked_until_the_limit_and_then_left(
    service: StandIn, state: State, agb: AGB, jobs: Jobs
) -> None:
    session_id = service.add_session({})
    service.fault(LIST, "ignores_filter", times=1000)
    state.slots.begin("a", spec="spec", member="keeper", idle_timeout=120, created_at=1000.0, expires_at=9999)
    state.slots.lost("a", "no answer")
    now = [1000.0]
    keeper = Janitor(
        state,
        agb=lambda: agb,
        lives=lambda member: True,
        jobs=jobs,
        ownership=Ownership(RUN),
        learn=lambda **seconds: None,
        unfindable=lambda slot: None,
        clock=lambda: now[0],
        settings=JanitorSettings(),
    )
    for now[0] in (1000.0, 1030.0, 1059.0, 1091.0):
        keeper.step(state.slots.left())
        while jobs.pending:
            jobs.finish(10.0)
        assert bool(state.slots.left()) == (now[0] < 1060.0)

    assert service.count(LABELS) == 4
    assert live(service) == {session_id}
    ((note,),) = state.database.fetch("SELECT note FROM slots")
    assert note == (
        "no answer; no session with its label shows up; 1 of those listed have no labels, and are left alone"
    )


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
