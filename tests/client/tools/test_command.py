from __future__ import annotations

import json
from typing import Any

import pytest
from support.standin import StandIn, ToolError

from pytest_agb import CommandFailed, InvalidRequestError, Session
from pytest_agb import ToolError as ClientToolError


def answer(stdout: str = "", stderr: str = "", exit_code: int = 0, **more: Any) -> str:
    return json.dumps({"stdout": stdout, "stderr": stderr, "exit_code": exit_code, **more})


def test_a_command_is_sent_as_the_official_sdk_sends_it(service: StandIn, session: Session) -> None:
    seen: list[dict[str, Any]] = []
    service.tools["shell"] = lambda session, args: seen.append(args) or answer()  # type: ignore[func-returns-value]

    assert session.command.execute_command("ls").success
    assert session.command.execute("ls", timeout_ms=5000, cwd="/data", envs={"A": "1"}).success

    assert seen == [
        {"command": "ls", "timeout_ms": 1000},
        {"command": "ls", "timeout_ms": 5000, "cwd": "/data", "envs": {"A": "1"}},
    ]


def test_output_is_both_streams(service: StandIn, session: Session) -> None:
    service.tools["shell"] = lambda *_: answer("out\n", "err\n", traceId="t-1")

    result = session.command.execute("x").check()

    assert (result.output, result.stdout, result.stderr) == ("out\nerr\n", "out\n", "err\n")
    assert (result.exit_code, result.trace_id, result.error_message) == (0, "t-1", "")


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        ("", "exit status 3"),
        ("no such thing\n", "exit status 3: no such thing"),
        ("Traceback ...\nKeyError: 1\n", "exit status 3: KeyError: 1\nTraceback ...\nKeyError: 1"),
    ],
)
def test_a_command_that_fails_says_how(service: StandIn, session: Session, stderr: str, said: str) -> None:
    service.tools["shell"] = lambda *_: answer("out", stderr, 3)

    result = session.command.execute("x")

    assert not result.success
    assert result.error_message == said
    assert (result.exit_code, result.stdout, result.stderr) == (3, "out", stderr)
    first_line = said.partition("\n")[0]
    assert f"success=False, error_message={first_line!r}, exit_code=3" in repr(result)
    with pytest.raises(CommandFailed, match=first_line):
        result.check()


@pytest.mark.parametrize(
    ("number", "exit_code"),
    [
        ("0", 0),
        ('"0"', 0),
        ("0.0", 0),
        ("null", None),
        ("Infinity", None),
        ("NaN", None),
        ("1e999", None),
        ('"\u00b2"', None),
        ('"1_0"', None),
    ],
)
def test_an_exit_code_that_is_no_number_is_none(
    service: StandIn, session: Session, number: str, exit_code: int | None
) -> None:
    service.tools["shell"] = lambda *_: f'{{"stdout": "out", "exit_code": {number}}}'

    result = session.command.execute("x").check()

    assert (result.output, result.exit_code) == ("out", exit_code)


@pytest.mark.parametrize("text", ["plain", '"json"', '{"stdout": null, "stderr": ""}', "[1]", '{"a": 1}'])
def test_other_text_is_the_output(service: StandIn, session: Session, text: str) -> None:
    service.tools["shell"] = lambda *_: text

    result = session.command.execute("x").check()

    assert (result.output, result.exit_code, result.stdout) == (text, None, "")


def test_a_commands_error_holds_no_value_of_its_environment_not_even_half_of_one(
    service: StandIn, session: Session
) -> None:
    secret = "sesame-" * 20
    service.tools["shell"] = lambda *_: answer("", f"begin\n{secret}{'x' * 950}\nno {secret} here\n", 3)

    result = session.command.execute("x", envs={"TOKEN": secret, "FLAG": "1"})

    assert "exit status 3: no [value of TOKEN] here" in repr(result)
    assert "sesame" not in f"{result!r} {result.error} {result.error_message}"
    assert len(result.error_message) < 2_100


def test_a_tool_error_in_the_shells_format_is_read(service: StandIn, session: Session) -> None:
    def fail(*_: object) -> str:
        raise ToolError(json.dumps({"stdout": "some", "stderr": "timed out", "errorCode": 124}))

    service.tools["shell"] = fail

    result = session.command.execute("sleep 9")

    assert isinstance(result.error, ClientToolError)
    assert (result.exit_code, result.stdout) == (124, "some")
    assert result.error_message == "exit status 124: timed out"


def test_a_tool_error_in_plain_text_is_the_message(service: StandIn, session: Session) -> None:
    def fail(*_: object) -> str:
        raise ToolError("the shell is gone")

    service.tools["shell"] = fail

    result = session.command.execute("x")

    assert (result.error_message, result.exit_code) == ("the shell is gone", None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"command": None}, "command must be a string"),
        ({"command": "x", "timeout_ms": 0}, "timeout_ms"),
        ({"command": "x", "timeout_ms": "5"}, "timeout_ms"),
        ({"command": "x", "envs": {"SECRET": 12345}}, "Found invalid entries: SECRET"),
    ],
)
def test_what_cannot_be_run_is_refused_without_a_request(
    service: StandIn, session: Session, arguments: dict[str, Any], said: str
) -> None:
    result = session.command.execute_command(**arguments)

    assert isinstance(result.error, InvalidRequestError)
    assert said in result.error_message
    assert "12345" not in result.error_message
    assert service.count("/mcp") == 0
