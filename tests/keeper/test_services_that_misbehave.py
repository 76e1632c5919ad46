"""Creates that fail, deletes that come to nothing: what the keeper makes of it."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from support.keeper_bench import SPEC, Bench
from support.standin import StandIn
from support.standin_faults import Fault

from pytest_agb.client import RefusedError, UnavailableError
from pytest_agb.store.slots import Slot, SlotState, Trouble

Benches = Callable[..., Bench]

CREATE, LIST, LABELS = "/mcp/createSession", "/sdk/ListSession", "/sdk/GetLabel"
RELEASE, KEEP_ALIVE = "/mcp/releaseSessionAsync", "/mcp/refreshSessionIdleTime"


def live(service: StandIn) -> set[str]:
    return {session.session_id for session in service.live_sessions()}


# ---- creates ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["503", "html_502", "drop_before"])
def test_one_create_that_fails_costs_whoever_waits_a_moment(
    service: StandIn, bench: Benches, fault: Fault
) -> None:
    """It was a wait of 10 s, a failed test and a session that "may be left"."""
    service.fault(CREATE, fault)
    run = bench()
    began = time.monotonic()

    answer = run.answer(run.ask())

    assert isinstance(answer, Slot), answer
    assert time.monotonic() - began < 5
    assert (service.count(CREATE), live(service)) == (2, {answer.session_id})
    (lost,) = [slot for slot in run.state.slots.left() if slot.state is SlotState.LOST]
    assert lost.trouble is Trouble.ABSENT
    slots = [request.body["labels"] for request in service.requests if request.path == CREATE]
    assert len(set(slots)) == 2, "the second one is an attempt of its own"


def test_two_creates_that_fail_are_told(service: StandIn, bench: Benches) -> None:
    service.fault(CREATE, "503", times=1000)
    run = bench()

    answer = run.answer(run.ask())
    run.work(1.5)

    assert isinstance(answer, UnavailableError)
    assert service.count(CREATE) == 2


@pytest.mark.parametrize("fault", ["500_after", "drop_after", "hollow_after", "429_after"])
def test_what_was_created_in_spite_of_the_answer_is_used(
    service: StandIn, bench: Benches, fault: Fault
) -> None:
    service.fault(CREATE, fault)
    service.retry_after = "30"
    run = bench()

    answer = run.answer(run.ask())

    assert isinstance(answer, Slot), answer
    assert (service.count(CREATE), live(service)) == (1, {answer.session_id})


def test_what_was_created_and_refused_is_deleted(service: StandIn, bench: Benches) -> None:
    service.fault(CREATE, "400_after")
    run = bench()

    answer = run.answer(run.ask())

    assert isinstance(answer, RefusedError)
    run.until(lambda: service.count(RELEASE) and not live(service), "it is found and deleted")
    run.until(lambda: not run.state.slots.left(), "that is seen")


def test_a_create_that_was_refused_is_looked_for_once(service: StandIn, bench: Benches) -> None:
    service.fault(CREATE, "403")
    run = bench()

    run.answer(run.ask())
    run.until(lambda: not run.state.slots.left(), "that there is none is seen")
    run.work(1.0)

    assert (service.count(CREATE), service.count(LIST)) == (1, 1)


def test_under_a_ceiling_a_lost_session_counts_until_it_is_given_up(service: StandIn, bench: Benches) -> None:
    service.fault(CREATE, "500_after")
    service.label_lag_seconds = 30.0
    run = bench(max_sessions=1, lost_seconds=2.0)
    want = run.ask()

    run.work(1.5)
    assert (service.count(CREATE), run.state.waiters.error(want)) == (1, None)

    assert isinstance(run.answer(want), Slot)
    assert service.count(CREATE) == 2


@pytest.mark.parametrize("labels", [{"agb_run": "other"}, {"project": "demo"}, {"created_by": "pytest-agb"}])
def test_an_id_that_carries_anothers_labels_is_refused(
    service: StandIn, bench: Benches, labels: dict[str, str]
) -> None:
    foreign = service.add_session(labels)
    service.answers_to_creates.append(foreign)
    run = bench()

    answer = run.answer(run.ask())

    assert isinstance(answer, Slot)
    assert answer.session_id != foreign
    assert service.count(CREATE) == 1, "the session that was made is found by its label"
    run.state.slots.leave("worker")
    run.until(lambda: live(service) == {foreign}, "ours is deleted, and no other")


def test_an_id_without_labels_is_taken_at_its_word(service: StandIn, bench: Benches) -> None:
    service.labels_readable_seconds = 60.0
    service.fault(LABELS, "503")
    run = bench()

    for _ in range(2):
        assert isinstance(run.answer(run.ask()), Slot)
    assert service.count(LABELS) == 2


# ---- room ------------------------------------------------------------------------------------------------


def test_a_throttled_account_gives_kept_sessions_up(service: StandIn, bench: Benches) -> None:
    run = bench(keep_failed=True)
    first = run.answer(run.ask())
    assert isinstance(first, Slot)
    run.state.slots.keep(first.slot, "test_it")
    service.fault(CREATE, "429", times=2)

    second = run.answer(run.ask())

    assert isinstance(second, Slot)
    run.until(lambda: live(service) == {second.session_id}, "what was kept made room")


def test_who_was_throttled_once_creates_ahead_again(
    service: StandIn, bench: Benches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pytest_agb.keeper.capacity._THROTTLED_SECONDS", 0.5)
    service.fault(CREATE, "429")
    run = bench(workers=4)
    run.state.upcoming.expect(SPEC, [(f"test-{number}", number) for number in range(20)])

    run.until(lambda: len(live(service)) >= 4, "sessions are created ahead")


# ---- deleting and keeping --------------------------------------------------------------------------------


def test_a_delete_that_was_accepted_and_came_to_nothing_is_asked_for_again(
    service: StandIn, bench: Benches
) -> None:
    service.forgotten_releases = 1
    run = bench(release_again_seconds=0.3)
    run.answer(run.ask())
    run.state.slots.leave("worker")

    run.until(lambda: not run.state.slots.left(), "it is gone, and that is seen")

    assert not live(service)
    assert service.count(RELEASE) == 2


@pytest.mark.parametrize("fault", ["403", "503"])
def test_a_session_that_can_not_be_kept_alive_is_tried_again_and_then_given_up(
    service: StandIn, bench: Benches, fault: Fault
) -> None:
    service.fault(KEEP_ALIVE, fault, times=1000)
    run = bench()
    first = run.answer(run.ask())
    assert isinstance(first, Slot)
    run.state.slots.returned(first.slot)
    run.state.database.write("UPDATE slots SET idle_timeout = 2")
    run.state.upcoming.expect(first.spec, [("a test to come", 1)])

    run.until(lambda: service.count(RELEASE), "it is deleted before a test gets it")

    assert service.count(KEEP_ALIVE) >= (4 if fault == "403" else 2)
    ((note,),) = run.state.database.fetch("SELECT note FROM slots WHERE slot = ?", (first.slot,))
    assert "could not be kept alive" in note or "deleting" in note


def test_what_is_past_its_maximum_lifetime_takes_nobodys_place(service: StandIn, bench: Benches) -> None:
    """Its slot stays, for the record, and kept whoever waited under a ceiling from having any."""
    run = bench(max_sessions=1)
    run.begin("old")
    run.state.slots.lost("old", "no answer")
    run.state.database.write("UPDATE slots SET expires_at = 1")

    assert isinstance(run.answer(run.ask()), Slot)
    assert [slot.trouble for slot in run.state.slots.left() if slot.slot == "old"] == [Trouble.GIVEN_UP]
