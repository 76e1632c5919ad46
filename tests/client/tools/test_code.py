from __future__ import annotations

import json
import math
from typing import Any

import pytest
from support.standin import IMAGE, StandIn

from pytest_agb import AGB, AGBTimeoutError, CreateSessionParams, ExecutionError, InvalidRequestError, Session
from pytest_agb.client import ClientSettings
from pytest_agb.client.tools.code_output import read_code_output


def current(**fields: Any) -> str:
    answer = {"result": [], "stdout": [], "stderr": [], "execution_count": 1, "execution_time": 0.01}
    return json.dumps({**answer, "executionError": "", **fields})


def test_code_is_sent_as_the_official_sdk_sends_it(service: StandIn, session: Session) -> None:
    seen: list[dict[str, Any]] = []
    service.tools["run_code"] = lambda session, args: seen.append(args) or current()  # type: ignore[func-returns-value]

    assert session.code.run_code("1+1", " PY ", timeout_s=7).success
    assert session.code.run("1+1", "node").success

    assert seen == [
        {"code": "1+1", "language": "python", "timeout_s": 7},
        {"code": "1+1", "language": "javascript", "timeout_s": 60},
    ]
    assert service.requests[-1].http.query == {"autoGenSession": "false"}


def test_results_and_logs_are_read(service: StandIn, session: Session) -> None:
    shown = [
        json.dumps({"text/html": "<b>2</b>", "text/plain": "bold 2"}),
        json.dumps({"text/plain": "42", "isMainResult": True}),
    ]
    service.tools["run_code"] = lambda *_: current(result=shown, stdout=["hi\n"], stderr=["careful\n"])

    result = session.code.run_code("x", "python").check()

    assert result.result == "42"
    assert [item.text for item in result.results] == ["bold 2", "42"]
    assert result.results[0].html == "<b>2</b>"
    assert (result.logs.stdout, result.logs.stderr) == (["hi\n"], ["careful\n"])
    assert (result.execution_count, result.execution_time) == (1, 0.01)
    assert result.error is None


def test_what_was_printed_is_the_result_where_nothing_else_is(service: StandIn, session: Session) -> None:
    service.tools["run_code"] = lambda *_: current(stdout=["a\n", "b\n"])

    assert session.code.run_code("x", "python").result == "a\nb\n"


def test_a_program_that_fails_is_a_failed_result(service: StandIn, session: Session) -> None:
    service.tools["run_code"] = lambda *_: current(executionError="NameError: name 'x' is not defined")

    result = session.code.run_code("x", "python")

    assert isinstance(result.error, ExecutionError)
    assert result.error_message == "NameError: name 'x' is not defined"
    assert (result.error.name, result.error.value) == ("ExecutionError", result.error_message)
    with pytest.raises(ExecutionError, match="NameError"):
        result.check()


@pytest.mark.parametrize(
    ("code", "language", "timeout_s", "said"),
    [
        (
            "x",
            "cobol",
            60,
            "Unsupported language: cobol. Supported languages are java,",
        ),
        ("x", None, 60, "Unsupported language"),
        (None, "python", 60, "code must be a string"),
        ("x", "python", 0, "timeout_s"),
        ("x", "python", "60", "timeout_s"),
        ("x", "python", math.inf, "timeout_s"),
        ("x", "python", math.nan, "timeout_s"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_cannot_be_run_is_refused_without_a_request(
    service: StandIn, session: Session, code: Any, language: Any, timeout_s: Any, said: str, stream: bool
) -> None:
    before = len(service.requests)

    result = session.code.run_code(code, language, timeout_s, stream)

    assert isinstance(result.error, InvalidRequestError)
    assert said in result.error_message
    assert len(service.requests) == before


def test_the_http_timeout_outlasts_the_tools_own(service: StandIn) -> None:
    service.tools["run_code"] = lambda *_: current()
    settings = ClientSettings(tool_margin_seconds=5)
    with AGB(service.api_key, service.endpoint, timeout=0.25, settings=settings) as agb:
        session = agb.create(CreateSessionParams(IMAGE)).check().session
        assert session is not None
        service.latency["/mcp"] = 0.4

        assert session.code.run_code("slow", "python", timeout_s=1).success


def test_a_tool_that_outlasts_even_that_is_a_timeout(service: StandIn) -> None:
    service.fault("/mcp", "hang")
    settings = ClientSettings(tool_margin_seconds=0.05)
    with AGB(service.api_key, service.endpoint, timeout=0.05, settings=settings) as agb:
        result = Session(agb, "session-1").command.execute("sleep 9", timeout_ms=50)

    assert isinstance(result.error, AGBTimeoutError)
    assert result.error.maybe_executed


@pytest.mark.parametrize(
    ("text", "results", "stdout", "error"),
    [
        (current(result=[{"text/plain": "2"}]), ["2"], [], ""),
        (current(result=[json.dumps(json.dumps({"text/plain": "2"}))]), ["2"], [], ""),
        (current(result=["just text"]), ["just text"], [], ""),
        (current(result=["42"]), ["42"], [], ""),
        (current(result=[[1, 2]], stdout=None), ["[1, 2]"], [], ""),
        (json.dumps({"results": [{"text": "2"}], "logs": {"stdout": ["a"]}}), ["2"], ["a"], ""),
        (json.dumps({"logs": {}, "error": {"name": "E", "value": "v"}}), [], [], "E: v"),
        (json.dumps({"content": [{"text": "old"}]}), ["old"], [], ""),
        (json.dumps({"content": [{"text": current(executionError="bad")}]}), [], [], "bad"),
        (
            json.dumps({"isError": True, "content": [{"text": "a"}, {"text": "b"}]}),
            [],
            [],
            "Error in response: a; b",
        ),
        (json.dumps({"other": 1}), ["{'other': 1}"], [], ""),
        ("plain", ["plain"], ["plain"], ""),
        ("42", ["42"], ["42"], ""),
        ("", [], [], "No data returned"),
        (None, [], [], "No data returned"),
    ],
)
def test_every_format_that_the_official_sdk_reads_is_read(
    text: str | None, results: list[str], stdout: list[str], error: str
) -> None:
    output = read_code_output(text)

    assert [item.text for item in output.results] == results
    assert output.logs.stdout == stdout
    assert output.error_message == error
