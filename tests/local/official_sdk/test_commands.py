"""The official SDK, unmodified: commands."""

from __future__ import annotations

import os
import time
from typing import Any

import pytest
from support.deadline import eventually
from support.local_server import processes_with


def test_output_and_exit_code(sdk_session: Any) -> None:
    result = sdk_session.command.execute("echo out; echo err >&2", timeout_ms=20_000)
    assert (result.success, result.stdout, result.stderr, result.exit_code) == (True, "out\n", "err\n", 0)
    assert result.output == "out\nerr\n"
    assert (result.error_message, result.trace_id) == ("", "")
    assert result.request_id


@pytest.mark.parametrize(
    ("command", "code", "stderr"),
    [
        ("echo why >&2; exit 7", 7, "why\n"),
        ("no_such_command", 127, "not found"),
        ("ls /no/such/path", 2, "No such file"),
        ("kill -9 $$", 137, ""),
    ],
)
def test_a_command_that_fails_has_its_exit_code_and_a_trace_id(
    sdk_session: Any, command: str, code: int, stderr: str
) -> None:
    result = sdk_session.command.execute(command, timeout_ms=20_000)
    assert (result.success, result.exit_code) == (False, code)
    assert stderr in result.stderr
    assert result.trace_id


def test_a_command_out_of_time_is_a_failure_that_keeps_its_output(sdk_session: Any) -> None:
    mark = f"35{os.getpid()}7"
    started = time.monotonic()
    result = sdk_session.command.execute(f"echo before; sleep {mark} & sleep {mark}", timeout_ms=300)
    assert time.monotonic() - started < 5
    assert (result.success, result.exit_code, result.stdout) == (False, 124, "before\n")
    assert "timed out after 300 ms" in result.error_message
    eventually(lambda: not processes_with(f"sleep\0{mark}"), "the command's processes are gone")
    assert sdk_session.command.execute("echo next", timeout_ms=20_000).stdout == "next\n"


def test_directory_and_environment_are_per_call(sdk_session: Any) -> None:
    odd = "quote ' semi; $HOME"
    result = sdk_session.command.execute(
        'cd /; pwd; cd - ; echo "$A"; export B=b', timeout_ms=20_000, cwd="/tmp", envs={"A": odd}
    )
    lines = result.stdout.splitlines()
    assert lines[0] == "/"
    assert lines[1].endswith("tmp")
    assert lines[2] == odd
    result = sdk_session.command.execute('pwd; echo "[$A$B]"', timeout_ms=20_000)
    assert result.stdout.endswith("[]\n")
    assert (
        result.stdout.splitlines()[0]
        == sdk_session.command.execute("echo ~", timeout_ms=20_000).stdout.strip()
    )


def test_environment_variables_that_are_no_text_are_refused_by_the_sdk_itself(sdk_session: Any) -> None:
    with pytest.raises(ValueError, match="all keys and values must be strings"):
        sdk_session.command.execute("true", envs={"A": 1})


def test_a_missing_directory_is_named_and_nothing_ran(sdk_session: Any) -> None:
    result = sdk_session.command.execute("touch /tmp/ran", cwd="/no/such")
    assert (result.success, result.exit_code, result.stdout) == (False, None, "")
    assert "/no/such" in result.error_message
    assert not sdk_session.file.info("/tmp/ran").success


def test_output_that_is_no_text_comes_with_replacements(sdk_session: Any) -> None:
    result = sdk_session.command.execute(r"printf 'a\377\000b'; printf '\303' >&2", timeout_ms=20_000)
    assert (result.success, result.stdout, result.stderr) == (True, "a\ufffd\0b", "\ufffd")


def test_a_command_in_the_background_does_not_hold_the_call(sdk_session: Any) -> None:
    started = time.monotonic()
    result = sdk_session.command.execute("nohup sleep 60 & echo started", timeout_ms=20_000)
    assert time.monotonic() - started < 10
    assert (result.success, result.stdout) == (True, "started\n")


def test_the_usual_default_of_one_second_holds(sdk_session: Any) -> None:
    started = time.monotonic()
    result = sdk_session.command.execute("sleep 60")
    assert time.monotonic() - started < 10
    assert "timed out after 1000 ms" in result.error_message
