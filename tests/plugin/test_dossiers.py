"""A failed test says what was called in its sandbox, how that ended, and what to do next."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from support.standin import StandIn, StandInSession, ToolError

#: None of them is in the source of the suite under test.
SECRETS = {"API_TOKEN": "sesame-env-1234", "SHORT_LIVED": "sesame-env-5678"}
SESSION_TOKEN = "sesame-token-9012"
STREAM = {"token": SESSION_TOKEN}

SUITE = """
    import os, pytest

    ENVS = {name: os.environ["SECRET_" + name] for name in ("API_TOKEN", "SHORT_LIVED")}

    def test_passes(agb_session):
        agb_session.command.execute("true").check()
        (call,) = agb_session.calls
        assert (call.kind, call.command, call.phase, call.exit_code) == ("command", "true", "call", 0)

    def test_exit_status(agb_session):
        agb_session.command.execute("fail", envs=ENVS).check()

    def test_assertion(agb_session):
        result = agb_session.command.execute("fail with " + agb_session.get_token(), envs=ENVS)
        assert result.success

    def test_code(agb_session):
        agb_session.code.run("raise ValueError", "python").check()

    def test_died(agb_session):
        agb_session.command.execute("die")
        assert agb_session.code.run("print(1)", "python").result == "1"

    @pytest.mark.agb(labels={"hook": "fails"})
    def test_hook(agb_session): pass

    def test_quota(agb_session_factory):
        for _ in range(9): agb_session_factory()

    @pytest.fixture
    def cleaned(agb_session):
        yield
        agb_session.command.execute("fail").check()

    def test_teardown(cleaned): pass

    def test_another_kind_of_failure(agb): raise ValueError("without a session")
"""

CONFTEST = """
    def pytest_agb_session_ready(session):
        if session.get_labels().data.get("hook"):
            session.command.execute("prepare").check()
            session.command.execute("fail").check()
"""


def shell(cloud: StandIn, session: StandInSession, args: dict[str, Any]) -> str:
    command = str(args["command"])
    if command == "die":
        cloud.end_session(session.session_id)
    if command.startswith("fail"):
        said = f"{command} {args.get('envs')}\nls: cannot access {' '.join(args.get('envs', {}).values())}\n"
        return json.dumps({"stdout": said, "stderr": said, "exit_code": 3})
    return json.dumps({"stdout": "fine\n", "stderr": "", "exit_code": 0})


def run_code(*_: object) -> str:
    raise ToolError('Traceback (most recent call last):\n  File "cell", line 1\nValueError: boom')


@pytest.fixture
def failures(pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("COLUMNS", "300")  # the lines of the short summary are cut to it
    for name, value in SECRETS.items():
        monkeypatch.setenv(f"SECRET_{name}", value)
    cloud.tools.update(shell=lambda session, args: shell(cloud, session, args), run_code=run_code)
    cloud.stream = STREAM
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(SUITE)
    return cloud


def sections(output: str) -> dict[str, str]:
    """What is shown of each failure, by the name of its test."""
    output = re.split(r"\n=+ (?:PASSES|short test summary info) =+\n", output)[0]
    parts = re.split(r"\n_{3,} (?:ERROR at \w+ of )?(\w+) _{3,}\n", output)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


@pytest.mark.parametrize("workers", [[], ["-n2"]], ids=["plain", "xdist"])
def test_terminal_and_junit_say_what_happened_and_what_to_do_and_no_secret(
    pytester: pytest.Pytester, failures: StandIn, workers: list[str], temp_directory: Path
) -> None:
    talkative = ("-rA", "--show-capture=no", "--log-file=log.txt", "--log-file-level=DEBUG")
    result = pytester.runpytest_subprocess(
        "--junitxml=report.xml", "--agb-max-sessions=4", "-p", "no:randomly", *talkative, *workers
    )

    result.assert_outcomes(passed=2, failed=6, errors=2)
    output = result.stdout.str()
    shown = sections(output)
    cases = {
        case.get("name"): case for case in ElementTree.parse(pytester.path / "report.xml").iter("testcase")
    }
    for name, words in {
        "test_exit_status": [
            "CommandFailed: exit status 3: ls: cannot access",
            "   1. command (",
            "| fail\n",
        ],
        "test_assertion": ["exit status 3", "error_message='exit status 3: ls: cannot access"],
        "test_code": ["ValueError: boom", "| raise ValueError\n", "--agb-keep-failed"],
        "test_died": ["The sandbox was lost", "it is gone: ", "| die\n", "Next: Run the test again"],
        "test_hook": [
            "pytest_agb_session_ready (conftest.py:1) failed: CommandFailed: exit",
            "(setup): exit status 3",
        ],
        "test_quota": [
            "A session could not be had",
            "--agb-max-sessions allows",
            "Next: Raise --agb-max-sessions",
        ],
        "test_teardown": ["The teardown failed", "(teardown): exit status 3"],
    }.items():
        junit = "".join(cases[name].itertext())
        for word in words:
            assert word in shown[name], name
            assert word in junit, name
        assert "AGB session" in shown[name]
        if name != "test_quota":
            assert len(set(re.findall(r"session (session-\d{6}):", shown[name]))) == 1, shown[name]
    assert "AGB session" not in shown["test_another_kind_of_failure"]
    assert "]5678" not in output, "what is left of a value that begins as another one does"
    for name in ("test_exit_status", "test_hook", "test_quota"):
        assert "pytest_agb/" not in shown[name]
    result.stdout.fnmatch_lines(
        [
            "agb: 8 failed, 1 of them lost their sandbox (SessionLostError): try these again",
            "FAILED *::test_exit_status - CommandFailed: exit status 3: ls*",
            "FAILED *::test_died - SessionLostError: it is gone: *",
        ],
        consecutive=False,
    )
    properties = {
        name: {it.get("name"): it.get("value") or "" for it in case.iter("property")}
        for name, case in cases.items()
    }
    assert properties["test_passes"] == properties["test_another_kind_of_failure"] == {}
    assert {properties[name]["agb_verdict"] for name in ("test_code", "test_exit_status")} == {"test failed"}
    assert properties["test_died"]["agb_verdict"] == "sandbox lost"
    assert properties["test_died"]["agb_session"] in shown["test_died"]
    (died,) = json.loads(properties["test_died"]["agb_dossier"])["sessions"]
    assert died["id"] == properties["test_died"]["agb_session"]
    secrets = [secret.encode() for secret in (*SECRETS.values(), SESSION_TOKEN, failures.api_key)]
    files = [path for path in pytester.path.rglob("*") if path.is_file()]
    written = {path.name: path.read_bytes() for path in files} | {"output": output.encode()}
    assert {"report.xml", "output"} | ({"log.txt"} if not workers else set()) <= written.keys()
    assert {name for name, text in written.items() if any(secret in text for secret in secrets)} == set()
    if not workers:
        assert b"DEBUG    pytest_agb:journal.py" in written["log.txt"]


def test_under_a_wide_scope_a_test_tells_its_own_calls_and_who_called_before(
    pytester: pytest.Pytester, failures: StandIn
) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(autouse=True, scope="module")
        def prepared(agb_session): agb_session.command.execute("prepare").check()

        def test_a(agb_session):
            assert [call.phase for call in agb_session.calls] == ["setup"]
            agb_session.command.execute("of a").check()

        def test_b(agb_session):
            agb_session.command.execute("of b").check()
            assert [call.command for call in agb_session.calls] == ["nothing"]

        def test_c(agb_session): assert agb_session.calls != []

        def test_as_it_runs(request):
            session = request.getfixturevalue("agb_session_factory")()
            session.command.execute("as it runs")
            assert [call.command for call in session.calls] == []

        def test_where_it_dies(agb_session):
            for command in ("die", "true"): agb_session.command.execute(command)

        def test_after_it_died(agb_session): pass
        """
    )
    result = pytester.runpytest_subprocess("--agb-scope=module", "-p", "no:randomly")

    result.assert_outcomes(passed=2, failed=3, errors=1)
    shown = sections(result.stdout.str())
    assert "earlier: 2 calls by test_under" in shown["test_b"]
    assert "| of b" in shown["test_b"]
    assert "| of a" not in shown["test_b"]
    assert "no calls" in shown["test_c"]
    assert "1 call by " in shown["test_c"]
    assert "| as it runs" in shown["test_as_it_runs"]
    assert "The sandbox was lost" in shown["test_after_it_died"]
    result.stdout.fnmatch_lines(["ERROR *::test_after_it_died - SessionLostError: it is gone: *"])


def test_a_run_whose_tests_pass_loads_nothing_of_it(pytester: pytest.Pytester, failures: StandIn) -> None:
    pytester.makeconftest(
        """
        import sys

        def pytest_unconfigure(config):
            print("loaded:", [name for name in sys.modules if "outlets" in name or "dossier.picture" in name])
        """
    )
    pytester.makepyfile("def test_it(agb_session): agb_session.command.execute('true').check()")

    result = pytester.runpytest_subprocess()

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["loaded: []"])


def test_a_test_that_asks_first_as_it_runs_tells_of_it(pytester: pytest.Pytester, failures: StandIn) -> None:
    pytester.makepyfile(
        """
        def test_it(request):
            request.getfixturevalue("agb_session").command.execute("fail").check()
        """
    )
    pytester.makepyfile(test_broken="raise ValueError")

    result = pytester.runpytest_subprocess("--continue-on-collection-errors")

    result.assert_outcomes(failed=1, errors=1)
    result.stdout.fnmatch_lines(["*CommandFailed: exit status 3*", "*- AGB session -*", "*command | fail"])
