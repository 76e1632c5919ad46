"""A dossier says what happened and what to do next, masked and of bounded size."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from pytest_agb import AGBError, QuotaError, SessionGoneError, SessionLostError, UnavailableError
from pytest_agb.client.calls import Happened
from pytest_agb.dossier import picture, text
from pytest_agb.dossier.journal import Journal, SessionFacts
from pytest_agb.secret import Secret
from pytest_agb.settings import Settings


@pytest.fixture
def journal() -> Journal:
    journal = Journal("run-1", Secret("ako-0123456789"))
    journal.begins("test_it", "call")
    journal.leased(SessionFacts("s-1", "image-1", {"project": "demo"}, time.time() - 2, 1, 0.5))
    return journal


def call(journal: Journal, command: str, stdout: str = "", exit_code: int = 0, **args: Any) -> None:
    with Happened(journal, "s-1", "shell", {"command": command, **args}) as happened:
        happened.answered(json.dumps({"stdout": stdout, "stderr": "", "exit_code": exit_code}), "R-1")


def failed_call(journal: Journal, error: AGBError) -> None:
    with pytest.raises(AGBError), Happened(journal, "s-1", "shell", {"command": "x"}):
        raise error


def of(
    journal: Journal, settings: Settings, error: BaseException | None = None, phase: str = "call"
) -> dict[str, Any]:
    return picture.of_failure(journal, settings, error=error or AssertionError("no"), phase=phase)


@pytest.fixture
def settings() -> Settings:
    return Settings(
        backend="cloud",
        run_id="run-1",
        images=("image-1",),
        labels={},
        scope="function",
        idle_timeout=300,
        local_isolation="auto",
        endpoint="https://agb.invalid",
        timeout_seconds=10.0,
        api_key=Secret("ako-0123456789"),
        dossier_calls=3,
    )


def test_it_names_the_session_and_its_calls(journal: Journal, settings: Settings) -> None:
    call(journal, "ls", "out\n", cwd="/x")

    shown = text.render(of(journal, settings))

    assert "session s-1: image image-1, cloud, run run-1, 2" in shown
    assert "use 1, waited for 0.5 s, labels project=demo" in shown
    assert "   1. command (cwd=/x): exit status 0, " in shown
    assert "request ID R-1\n      command | ls\n       stdout | out" in shown


def test_only_the_latest_calls_are_shown_and_the_number_of_the_others(
    journal: Journal, settings: Settings
) -> None:
    for number in range(5):
        call(journal, f"command {number}")

    dossier = of(journal, settings)

    assert [(made["number"], made["args"]["command"]) for made in dossier["calls"]] == [
        (3, "command 2"),
        (4, "command 3"),
        (5, "command 4"),
    ]
    assert "2 earlier calls of this test left out (agb_dossier_calls)" in text.render(dossier)


def test_of_a_long_text_the_beginning_and_the_end_are_left(journal: Journal, settings: Settings) -> None:
    call(journal, "begin" + "x" * 100_000 + "end", "BEGIN" + "y" * 1_000_000 + "END")

    dossier = of(journal, settings)

    (made,) = dossier["calls"]
    for shown, ends in ((made["stdout"], ("BEGIN", "END")), (made["args"]["command"], ("begin", "end"))):
        assert len(shown) < picture.MOST_CHARACTERS + 100
        assert (shown.startswith(ends[0]), shown.endswith(ends[1])) == (True, True)
    assert len(json.dumps(dossier)) < 20_000


def test_no_secret_is_in_it_not_even_where_a_cut_would_halve_it(journal: Journal, settings: Settings) -> None:
    half = picture.MOST_CHARACTERS // 2
    call(journal, "x", "y" * (half - 10) + "sesame-1234567890" + "z" * 5000, envs={"T": "sesame-1234567890"})
    call(journal, "echo ako-0123456789")

    dossier = of(journal, settings, AGBError("with ako-0123456789"))

    assert "sesame" not in json.dumps(dossier)
    assert "ako-" not in json.dumps(dossier) + text.render(dossier)


def test_what_a_terminal_would_obey_is_shown(journal: Journal, settings: Settings) -> None:
    call(journal, "x \ud800", "\x1b[31mred\x1b[0m\r\n\x00")

    shown = text.render(of(journal, settings))

    assert "\\x1b[31mred" in shown
    assert "| x \\ud800" in shown
    assert not set(shown) & {"\x1b", "\r", "\x00", "\ud800"}


def gone(journal: Journal) -> BaseException:
    failed_call(journal, SessionGoneError("Session s-1 is gone"))
    return AssertionError("'' == '1'")


def gone_by_the_keeper(journal: Journal) -> BaseException:
    journal.died("s-1", "it is gone: released")
    return AssertionError("no")


def raised(journal: Journal) -> BaseException:
    return SessionGoneError("Session s-1 is gone")


def behind(journal: Journal) -> BaseException:
    error = ValueError("mine")
    error.__cause__ = SessionLostError("it is gone")
    return error


def never_there(journal: Journal) -> BaseException:
    error = UnavailableError("The service answers 503")
    journal.could_not_lease(error, 3.0)
    return AssertionError(f"no AGB session: {error}")


@pytest.mark.parametrize("what", [gone, gone_by_the_keeper, raised, behind, never_there])
def test_a_sandbox_that_was_lost_is_told_from_a_test_that_failed(
    journal: Journal, settings: Settings, what: Any
) -> None:
    dossier = of(journal, settings, what(journal))

    assert dossier["verdict"] == "sandbox lost"
    assert dossier["why"]
    assert "--only-rerun SessionLostError" in dossier["next"]


def test_one_that_answered_again_was_not_lost(journal: Journal, settings: Settings) -> None:
    failed_call(journal, UnavailableError("503"))
    call(journal, "true")

    assert of(journal, settings)["verdict"] == "test failed"


def test_a_session_that_could_not_be_had_says_what_to_do(journal: Journal, settings: Settings) -> None:
    error = QuotaError("all 2 are in use", hint="Raise --agb-max-sessions")
    journal.could_not_lease(error, 3.0)

    dossier = of(journal, settings, AssertionError(f"no AGB session: {error}"), "setup")

    assert (dossier["verdict"], dossier["next"]) == ("no sandbox", "Raise --agb-max-sessions.")
    assert "all 2 are in use\nNext: Raise --agb-max-sessions.\nno session after 3 s\n" in text.render(dossier)


@pytest.mark.parametrize("phase", ["setup", "call", "teardown"])
def test_the_call_that_failed_is_named(journal: Journal, settings: Settings, phase: str) -> None:
    call(journal, "x", exit_code=3)
    call(journal, "y")

    dossier = of(journal, settings, phase=phase)

    assert dossier["verdict"] == {"call": "test"}.get(phase, phase) + " failed"
    assert dossier["why"] == "the last call that failed is number 1 below: exit status 3"
    assert dossier["next"] == "To look into a sandbox of this test, run it with --agb-keep-failed."
