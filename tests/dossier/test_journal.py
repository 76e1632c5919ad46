"""A journal keeps what the test that runs now did, and forgets it when the next begins."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from pytest_agb import QuotaError
from pytest_agb.client.calls import Happened
from pytest_agb.dossier.journal import Journal, SessionFacts
from pytest_agb.secret import Secret


def call(journal: Journal, session_id: str = "s-1", command: str = "ls", **args: object) -> None:
    with Happened(journal, session_id, "shell", {"command": command, **args}) as happened:
        happened.answered('{"stdout": "out", "exit_code": 0}', "R-1")


def facts(session_id: str = "s-1", uses: int = 1) -> SessionFacts:
    return SessionFacts(session_id, "image", {"project": "demo"}, time.time(), uses, 0.5)


@pytest.fixture
def journal() -> Journal:
    journal = Journal("run-1", Secret("ako-0123456789"))
    journal.begins("test_a", "setup")
    return journal


def test_a_tests_calls_are_its_own(journal: Journal) -> None:
    journal.leased(facts())
    call(journal, command="of a")
    call(journal, command="of a")
    journal.begins("test_b", "call")
    call(journal, command="of b")

    assert [made.command for made in journal.calls("s-1")] == ["of b"]
    assert [session.earlier for session in journal.sessions()] == [{"test_a": 2}]


def test_a_session_that_is_leased_again_keeps_who_called_it(journal: Journal) -> None:
    journal.leased(facts())
    call(journal)
    journal.begins("test_b", "setup")
    journal.leased(facts(uses=2))

    assert [(session.uses, session.earlier) for session in journal.sessions()] == [(2, {"test_a": 1})]


def test_a_session_that_no_test_can_have_again_is_forgotten(journal: Journal) -> None:
    for number in range(3):
        journal.leased(facts(f"s-{number}"))
        journal.gives_up(f"s-{number}")
        assert [session.session_id for session in journal.sessions()] == [f"s-{number}"]
        journal.begins("test_b", "setup")

    assert journal.sessions(["s-0", "s-1", "s-2"]) == []


def test_another_attempt_begins_with_nothing(journal: Journal) -> None:
    call(journal)
    journal.could_not_lease(QuotaError("full"), 1.0)
    journal.begins("test_a", "setup")

    assert not journal.has_something()
    assert journal.calls("s-1") == []
    assert journal.refused == []


def test_a_call_names_the_part_of_the_test_that_made_it(journal: Journal) -> None:
    call(journal)
    journal.phase = "call"
    call(journal)

    assert [made.phase for made in journal.calls("s-1")] == ["setup", "call"]


def test_each_call_is_a_line_of_the_log_that_shows_no_secret(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    call(journal, command="before")
    assert caplog.records == []
    caplog.set_level(logging.DEBUG, "pytest_agb")

    call(journal, command="curl -H sesame-12\nls ako-0123456789", envs={"TOKEN": "sesame-12"})

    (line,) = caplog.messages
    assert line.startswith("run run-1, session s-1: shell 'curl -H [value of TOKEN]")
    assert "[API key]" in line
    assert "exit status 0" in line
    assert "R-1" in line
    assert "\n" not in line


def test_calls_of_many_threads_are_all_there(journal: Journal) -> None:
    def make(number: int) -> None:
        call(journal, command=f"command {number}", envs={f"NAME_{number}": f"secret-{number}"})
        journal.mask.text("while others learn")

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(make, range(400)))

    assert {made.command for made in journal.calls("s-1")} == {f"command {number}" for number in range(400)}
    assert journal.mask.text("secret-399") == "[value of NAME_399]"
