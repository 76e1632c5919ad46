"""What people read in place of the terminal tells of a failed test too: each plugin's own file, read back."""

from __future__ import annotations

import html
import json
import re
from typing import Any

import pytest
from support.standin import StandIn, StandInSession

LOADS = ("html", "html_fixtures", "metadata")

SECRET = "sesame-env-1234"
SUITE = """
    import os

    def test_passes(agb_session): assert agb_session.command.execute("true").success

    def test_fails(agb_session):
        agb_session.command.execute("fail", envs={"TOKEN": os.environ["SECRET"]}).check()

    def test_dies(agb_session):
        agb_session.command.execute("die")
        assert agb_session.command.execute("true").success
"""
SAID = "ls: cannot access the thing"


@pytest.fixture(autouse=True)
def failing_suite(pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    def shell(session: StandInSession, args: dict[str, Any]) -> str:
        if args["command"] == "die":
            cloud.end_session(session.session_id)
        failed = args["command"] == "fail"
        said = f"{args.get('envs')}\n{SAID}\n" if failed else ""
        return json.dumps({"stdout": said, "stderr": said, "exit_code": 3 * failed})

    cloud.tools["shell"] = shell
    monkeypatch.setenv("SECRET", SECRET)
    pytester.makepyfile(SUITE)


def run(pytester: pytest.Pytester, *arguments: str) -> None:
    result = pytester.runpytest_subprocess("-p", "no:randomly", *arguments)
    result.assert_outcomes(passed=1, failed=2)


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_pytest_html(pytester: pytest.Pytester, workers: str) -> None:
    run(pytester, "--html=report.html", "--self-contained-html", workers)

    page = (pytester.path / "report.html").read_text()
    (blob,) = re.findall(r'data-jsonblob="([^"]*)"', page)
    tests = json.loads(html.unescape(blob))["tests"]
    rows = {name.rpartition("::")[2]: row for name, listed in tests.items() for row in listed}
    names = [extra["name"] for extra in rows["test_fails"]["extras"]]
    assert names[1:] == ["AGB dossier"]
    assert re.fullmatch(r"AGB session session-\d{6}", names[0])
    assert SAID in rows["test_fails"]["log"]
    assert "AGB session" in rows["test_fails"]["log"]
    assert "The sandbox was lost" in rows["test_dies"]["log"]
    assert rows["test_passes"]["extras"] == []
    assert SECRET not in page


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_pytest_reportlog(pytester: pytest.Pytester, workers: str) -> None:
    run(pytester, "--report-log=log.json", workers)

    text = (pytester.path / "log.json").read_text()
    reports = [line for line in map(json.loads, text.splitlines()) if line.get("when") == "call"]
    properties = {line["nodeid"].rpartition("::")[2]: dict(line["user_properties"]) for line in reports}
    assert properties["test_passes"] == {}
    assert properties["test_fails"]["agb_verdict"] == "test failed"
    assert properties["test_dies"]["agb_verdict"] == "sandbox lost"
    dossier = json.loads(properties["test_fails"]["agb_dossier"])
    assert dossier["sessions"][0]["id"] == properties["test_fails"]["agb_session"]
    assert dossier["calls"][0]["exit_code"] == 3
    assert SECRET not in text


@pytest.mark.parametrize("workers", ["-n0", "-n2"])
def test_pytest_json_ctrf(pytester: pytest.Pytester, workers: str) -> None:
    run(pytester, "--ctrf=ctrf.json", workers)

    text = (pytester.path / "ctrf.json").read_text()
    tests = {test["name"].rpartition("::")[2]: test for test in json.loads(text)["results"]["tests"]}
    assert tests["test_fails"]["message"] == f"CommandFailed: exit status 3: {SAID}"
    assert "AGB session" in tests["test_fails"]["trace"]
    assert tests["test_dies"]["message"].startswith("SessionLostError: it is gone: ")
    assert SECRET not in text


def test_none_of_them_is_needed(pytester: pytest.Pytester) -> None:
    run(pytester, "-p", "no:html", "-p", "no:reportlog", "-p", "no:ctrf")
