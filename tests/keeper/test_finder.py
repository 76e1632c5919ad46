"""What a look for a lost session costs, and what it takes for found."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.standin import StandIn

from pytest_agb.client import AGB
from pytest_agb.keeper.finder import Finder, Look
from pytest_agb.keeper.janitor import Janitor, JanitorSettings
from pytest_agb.keeper.jobs import Jobs
from pytest_agb.run.ownership import Ownership
from pytest_agb.settings import Settings
from pytest_agb.store.database import lay_schema
from pytest_agb.store.state import State, database_path

LIST, LABELS = "/sdk/ListSession", "/sdk/GetLabel"
RUN = "run-00000001"


def live(service: StandIn) -> set[str]:
    return {session.session_id for session in service.live_sessions()}


def ours(slot: str) -> dict[str, str]:
    return {"created_by": "pytest-agb", "agb_run": RUN, "agb_slot": slot}


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
        looked=lambda slot, look: None,
        clock=lambda: now[0],
        settings=JanitorSettings(),
    )
    for now[0] in (1000.0, 1060.0, 1119.0, 1151.0):
        keeper.step(state.slots.left())
        while jobs.pending:
            jobs.finish(10.0)
        assert bool(state.slots.left()) == (now[0] < 1120.0)

    assert service.count(LABELS) == 4
    assert live(service) == {session_id}
    ((note,),) = state.database.fetch("SELECT note FROM slots")
    assert note == (
        "no answer; no session with its label shows up; 1 of those listed have no labels, and are left alone"
    )
