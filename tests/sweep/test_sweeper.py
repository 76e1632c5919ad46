"""The sweep without a command line: what should go goes, however pages shift, and nothing else does."""

from __future__ import annotations

import threading

import pytest
from support.standin import StandIn
from support.standin_faults import Fault

from pytest_agb import AuthenticationError, MissingKeyError, UnavailableError
from pytest_agb.environment import Account
from pytest_agb.sweep.outcome import Action, Event, Expected, Settled
from pytest_agb.sweep.selection import Selection, SelectionError
from pytest_agb.sweep.sweeper import SweepSettings, sweep

LIST, LABELS, RELEASE = "/sdk/ListSession", "/sdk/GetLabel", "/mcp/releaseSessionAsync"
NOW = 1_800_000_000
QUICK = SweepSettings(drain_seconds=0.3, poll_seconds=0.02)


@pytest.fixture
def account(service: StandIn) -> Account:
    return Account(service.api_key, service.endpoint, 10.0)


def ours(run: str = "run-1", expires: str = str(NOW - 1), **more: str) -> dict[str, str]:
    return {"created_by": "pytest-agb", "agb_run": run, "agb_slot": "slot-1", "agb_expires": expires, **more}


def live(service: StandIn) -> set[str]:
    return {session.session_id for session in service.live_sessions()}


def test_orphans_go_and_foreign_sessions_stay(service: StandIn, account: Account) -> None:
    foreign = {service.add_session({"project": f"p{number}"}) for number in range(200)}
    foreign.add(service.add_session({**ours(), "created_by": "agb-sdk"}))
    for _ in range(120):
        service.add_session(ours())

    outcome = sweep(account, Selection(), clock=lambda: NOW)

    assert (outcome.deleted, outcome.kept, outcome.left, outcome.clean) == (120, 0, {}, True)
    assert live(service) == foreign


def test_only_what_is_past_its_expiry_goes(service: StandIn, account: Account) -> None:
    kept = {
        service.add_session(ours(expires=expires))
        for expires in (str(NOW), str(NOW + 1), "", " ", "soon", "1_7", f"{NOW - 1}000", "-5", "\uff11")
    }
    kept.add(service.add_session({"created_by": "pytest-agb"}))
    service.add_session(ours(expires=str(NOW - 1)))

    outcome = sweep(account, Selection(), clock=lambda: NOW)

    assert (outcome.deleted, outcome.kept) == (1, 10)
    assert live(service) == kept


@pytest.mark.parametrize(
    "selection",
    [Selection(run="run-2"), Selection(ci_run="ci-2"), Selection(run="run-2", ci_run="ci-2")],
    ids=["run", "ci run", "both"],
)
def test_a_named_run_goes_whatever_its_expiry(
    service: StandIn, account: Account, selection: Selection
) -> None:
    kept = {
        service.add_session(ours("run-1", agb_ci_run="ci-1")),
        service.add_session({**ours("run-2", agb_ci_run="ci-2"), "created_by": "someone"}),
    }
    service.add_session(ours("run-2", expires=str(NOW + 999), agb_ci_run="ci-2"))
    service.add_session(ours("run-2", expires="never", agb_ci_run="ci-2"))

    outcome = sweep(account, selection, clock=lambda: NOW)

    assert outcome.deleted == 2
    assert live(service) == kept


def test_an_age_goes_past_the_expiry(service: StandIn, account: Account) -> None:
    expires = str(NOW + 1)
    undecided = {
        service.add_session(ours(expires="unreadable", agb_created=str(NOW - 601))),
        service.add_session(ours(expires=expires, agb_created="unreadable")),
        service.add_session(ours(expires=expires)),
    }
    in_use = service.add_session(ours(expires=expires, agb_created=str(NOW - 600)))
    service.add_session(ours(expires=expires, agb_created=str(NOW - 601)))
    seen: list[Event] = []

    outcome = sweep(account, Selection(older_than_seconds=600), seen.append, clock=lambda: NOW)

    assert outcome.deleted == 1
    assert live(service) == undecided | {in_use}
    told = {event.session.session_id for event in seen if isinstance(event, Settled) and event.undecided}
    assert told == undecided


@pytest.mark.parametrize(
    "wrong", [{"run": ""}, {"ci_run": " "}, {"run": "a", "older_than_seconds": 1.0}], ids=str
)
def test_an_unset_name_widens_nothing(wrong: dict[str, str]) -> None:
    with pytest.raises(SelectionError):
        Selection(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("selection", [Selection(), Selection(run="run-1")], ids=["expired", "named"])
def test_a_listing_that_ignores_the_filter_costs_no_foreign_session(
    service: StandIn, account: Account, selection: Selection
) -> None:
    foreign = service.add_session({"project": "demo", "agb_run": "run-1", "agb_expires": "1"})
    service.add_session(ours())
    service.fault(LIST, "ignores_filter", times=1000)

    assert sweep(account, selection, clock=lambda: NOW).deleted == 1
    assert live(service) == {foreign}


def test_labels_that_show_up_late_are_asked_for_again(service: StandIn, account: Account) -> None:
    service.add_session(ours())
    service.labels_readable_seconds = 0.4
    settings = SweepSettings(unlabelled_seconds=0.5)

    outcome = sweep(account, Selection(), clock=lambda: NOW, settings=settings)

    assert (outcome.deleted, outcome.left) == (1, {})
    assert live(service) == set()


def test_a_session_that_shows_no_labels_is_left_and_named(service: StandIn, account: Account) -> None:
    session_id = service.add_session(ours())
    service.labels_readable_seconds = 1000.0

    outcome = sweep(account, Selection(), settings=SweepSettings(unlabelled_seconds=0.05))

    assert (outcome.deleted, outcome.left) == (0, {session_id: "it shows no labels"})
    assert live(service) == {session_id}
    assert service.count(LABELS) == 4


@pytest.mark.parametrize("delete", [True, False], ids=["sweep", "ls"])
def test_others_that_a_listing_shows_are_neither_named_nor_counted(
    service: StandIn, account: Account, delete: bool
) -> None:
    for number in range(30):
        service.add_session({"project": "demo"} if number % 2 else {})
    session_id = service.add_session(ours())
    service.fault(LIST, "ignores_filter", times=1000)
    seen: list[Event] = []
    settings = SweepSettings(unlabelled_seconds=0.05)

    outcome = sweep(account, Selection(), seen.append, delete=delete, clock=lambda: NOW, settings=settings)

    assert (outcome.deleted, outcome.would_delete) == (int(delete), int(not delete))
    assert outcome.left == {}
    assert [event.session.session_id for event in seen if isinstance(event, Settled)] == [session_id]
    expected = [event.count for event in seen if isinstance(event, Expected)]
    assert (expected[0], expected[-1]) == (31, 31 - 15)
    assert len(service.live_sessions()) == 31 - int(delete)


def test_another_accounts_sessions_stay(service: StandIn, account: Account) -> None:
    service.add_account("ako-another-account")
    others = service.add_session(ours(), "ako-another-account")
    service.add_session(ours())

    assert sweep(account, Selection(), clock=lambda: NOW).deleted == 1
    assert live(service) == {others}
    assert sweep(Account("ako-another-account", account.endpoint, 10.0), Selection(), clock=lambda: NOW).clean
    assert live(service) == set()


@pytest.mark.parametrize("orphans", [300, pytest.param(2000, marks=pytest.mark.slow)])
def test_orphans_among_kept_ones_are_gone_though_pages_shift(
    service: StandIn, account: Account, orphans: int
) -> None:
    kept = set()
    for number in range(orphans):
        service.add_session(ours())
        if number % 10 == 0:
            kept.add(service.add_session(ours(expires=str(NOW + 60))))
    seen: list[Event] = []

    outcome = sweep(account, Selection(), seen.append, clock=lambda: NOW)

    assert live(service) == kept
    assert (outcome.deleted, outcome.kept, outcome.clean) == (orphans, len(kept), True)
    settled = [event for event in seen if isinstance(event, Settled)]
    told = {event.session.session_id for event in settled}
    assert len(settled) == len(told) == orphans + len(kept)  # each once
    assert seen[0] == Expected(orphans + len(kept))
    assert service.count(RELEASE) == orphans
    assert service.count(LABELS) == orphans + len(kept)


def test_the_last_thing_is_a_listing_that_shows_nothing_left(service: StandIn, account: Account) -> None:
    for _ in range(60):
        service.add_session(ours())

    sweep(account, Selection(), clock=lambda: NOW)

    assert service.requests[-1].path == LIST


def test_looking_deletes_nothing(service: StandIn, account: Account) -> None:
    for _ in range(120):
        service.add_session(ours())

    outcome = sweep(account, Selection(), delete=False, clock=lambda: NOW)

    assert (outcome.would_delete, outcome.deleted, outcome.clean) == (120, 0, False)
    assert service.count(RELEASE) == 0


def test_what_can_not_be_deleted_is_named_and_the_rest_goes(service: StandIn, account: Account) -> None:
    for _ in range(30):
        service.add_session(ours())
    stubborn = service.add_session(ours())
    service.undeletable.add(stubborn)

    outcome = sweep(account, Selection(), clock=lambda: NOW)

    assert (outcome.deleted, list(outcome.left), outcome.clean) == (30, [stubborn], False)
    assert "can't be released now" in outcome.left[stubborn]
    assert live(service) == {stubborn}


def test_labels_that_can_not_be_read_protect_a_session(service: StandIn, account: Account) -> None:
    session_id = service.add_session(ours())
    service.fault(LABELS, "html", times=100)

    outcome = sweep(account, Selection(), clock=lambda: NOW)

    assert list(outcome.left) == [session_id]
    assert live(service) == {session_id}


@pytest.mark.parametrize("fault", ["drop_after", "500_after"])
def test_a_deletion_whose_answer_was_lost_counts_once_it_is_gone(
    service: StandIn, account: Account, fault: str
) -> None:
    service.add_session(ours())
    service.fault(RELEASE, fault, times=4)  # type: ignore[arg-type]

    outcome = sweep(account, Selection(), clock=lambda: NOW)

    assert (outcome.deleted, outcome.clean) == (1, True)


def test_a_session_that_is_still_listed_is_waited_for(service: StandIn, account: Account) -> None:
    service.lists_deleting, service.delete_seconds = True, 0.4
    service.add_session(ours())

    assert sweep(account, Selection(), settings=SweepSettings(poll_seconds=0.02), clock=lambda: NOW).clean
    assert live(service) == set()


def test_a_session_that_does_not_go_away_is_left(service: StandIn, account: Account) -> None:
    service.lists_deleting, service.delete_seconds = True, 1000.0
    session_id = service.add_session(ours())
    seen: list[Event] = []

    outcome = sweep(account, Selection(), seen.append, settings=QUICK, clock=lambda: NOW)

    assert (outcome.deleted, list(outcome.left)) == (0, [session_id])
    actions = [event.action for event in seen if isinstance(event, Settled)]
    assert actions == [Action.DELETED, Action.LEFT]


def test_a_throttling_service_gets_its_pause_and_the_sweep_its_end(
    service: StandIn, account: Account
) -> None:
    service.retry_after = "1"
    for _ in range(100):
        service.add_session(ours())
    service.fault(RELEASE, "429", times=20)

    outcome = sweep(account, Selection(), clock=lambda: NOW)

    assert (outcome.deleted, outcome.clean) == (100, True)
    first = next(request.at for request in service.requests if request.path == RELEASE)
    begun = [r.at for r in service.requests if r.path == LABELS and first + 0.5 < r.at < first + 1]
    assert begun == []  # who was not told to wait waits too


def test_a_throttled_listing_is_taken_up_again(service: StandIn, account: Account) -> None:
    service.add_session(ours())
    service.fault(LIST, "429", times=9)

    assert sweep(account, Selection(), clock=lambda: NOW).deleted == 1


def test_sessions_that_keep_coming_do_not_keep_the_sweep(service: StandIn, account: Account) -> None:
    service.add_session(ours())

    def create_another(event: Event) -> None:
        if isinstance(event, Settled):
            service.add_session(ours())

    settings = SweepSettings(passes=5)
    outcome = sweep(account, Selection(run="run-1"), create_another, settings=settings)

    assert not outcome.finished
    assert not outcome.clean


def test_a_wrong_key_and_a_dead_service_end_it(account: Account) -> None:
    with pytest.raises(AuthenticationError):
        sweep(Account("ako-wrong", account.endpoint, 10.0), Selection())
    with pytest.raises(MissingKeyError):
        sweep(Account(None, account.endpoint, 10.0), Selection())
    with pytest.raises(UnavailableError):
        sweep(Account(account.api_key, "http://127.0.0.1:9", 10.0), Selection())


@pytest.mark.parametrize("fault", ["401", "400_key"])
def test_a_key_that_is_withdrawn_ends_it(service: StandIn, account: Account, fault: Fault) -> None:
    for _ in range(300):
        service.add_session(ours())
    service.fault(RELEASE, fault)

    with pytest.raises(AuthenticationError):
        sweep(account, Selection(), clock=lambda: NOW)


def test_a_service_that_dies_midway_ends_it(service: StandIn, account: Account) -> None:
    for _ in range(300):
        service.add_session(ours())
    for path in (RELEASE, LABELS):
        service.fault(path, "503", times=100_000)

    with pytest.raises(UnavailableError):
        sweep(account, Selection(), settings=SweepSettings(patience_seconds=0.1), clock=lambda: NOW)


def test_an_exception_from_the_observer_ends_it_and_its_threads(service: StandIn, account: Account) -> None:
    for _ in range(300):
        service.add_session(ours())

    def stop(event: Event) -> None:
        if isinstance(event, Settled):
            raise BrokenPipeError

    before = threading.active_count()
    with pytest.raises(BrokenPipeError):
        sweep(account, Selection(), stop, clock=lambda: NOW)
    assert threading.active_count() <= before + 65  # the stand-in's own, one for each connection
