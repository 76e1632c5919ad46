"""A first test: name the fixture, have a sandbox. It is deleted when the test ends."""

from __future__ import annotations

from pytest_agb import Session


def test_code_runs_in_a_sandbox(agb_session: Session) -> None:
    result = agb_session.code.run_code("print(6 * 7)", "python")

    assert result.success
    assert result.logs.stdout == ["42\n"]


def test_variables_live_as_long_as_the_session(agb_session: Session) -> None:
    agb_session.code.run_code("numbers = [1, 2, 3]", "python").check()

    assert agb_session.code.run_code("sum(numbers)", "python").result == "6"


def test_a_command_that_fails_says_so(agb_session: Session) -> None:
    result = agb_session.command.execute_command("echo no such thing >&2; exit 3")

    assert not result.success
    assert result.exit_code == 3
    assert "no such thing" in result.stderr
