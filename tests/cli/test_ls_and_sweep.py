"""`pytest-agb ls` and `pytest-agb sweep` as people and CI jobs run them, in processes of their own or not."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from support.command_line import Run
from support.deadline import eventually
from support.standin import StandIn

RELEASE = "/mcp/releaseSessionAsync"
KEYS = {"id", "run", "ci_run", "slot", "created_at", "expires_at", "age_seconds", "action", "reason"}
SUMMARY = {"sessions", "deleted", "kept", "would_delete", "left", "finished", "error"}


def _environment(service: StandIn) -> dict[str, str]:
    return {**os.environ, "AGB_API_KEY": service.api_key, "AGB_ENDPOINT": service.endpoint}


def ours(
    run: str = "run-1", expires_in: float = -60, *, age: float | None = None, **more: str
) -> dict[str, str]:
    now = time.time()
    labels = {"created_by": "pytest-agb", "agb_run": run, "agb_slot": "slot-1"}
    if age is not None:
        labels["agb_created"] = str(int(now - age))
    return {**labels, "agb_expires": str(int(now + expires_in)), **more}


def live(service: StandIn) -> set[str]:
    return {session.session_id for session in service.live_sessions()}


def test_ls_shows_our_sessions_and_no_others(service: StandIn, run: Run) -> None:
    service.add_session({"project": "foreign"})
    first = service.add_session(ours("run-1", -330, age=2710, agb_ci_run="github-7-1"))
    second = service.add_session(ours("run-2", agb_created="who knows", agb_expires="who knows"))
    third = service.add_session(ours("run-3", 630))
    fourth = service.add_session(ours("run-4", 630, age=-3600))
    fifth = service.add_session(ours("run-5", 630, age=-300))

    result = run("ls")

    assert result.returncode == 0
    header, *lines = result.stdout.splitlines()
    assert header.split() == ["ID", "RUN", "CI", "RUN", "SLOT", "AGE", "EXPIRES"]
    assert sorted(line.split() for line in lines) == [
        [first, "run-1", "github-7-1", "slot-1", "45m", "5m", "ago"],
        [second, "run-2", "-", "slot-1", "?", "?"],
        [third, "run-3", "-", "slot-1", "?", "in", "10m"],
        [fourth, "run-4", "-", "slot-1", "?", "in", "10m"],
        [fifth, "run-5", "-", "slot-1", "0s", "in", "10m"],
    ]
    assert len(service.live_sessions()) == 6


def test_ls_of_one_run(service: StandIn, run: Run) -> None:
    service.add_session(ours("run-1"))
    wanted = service.add_session(ours("run-2", 900, agb_ci_run="ci-2"))

    for selection in (["--run", "run-2"], ["--ci-run=ci-2"]):
        listed = json.loads(run("ls", "--json", *selection).stdout)["sessions"]
        assert [session["id"] for session in listed] == [wanted]


def test_ls_of_nothing_says_so(run: Run) -> None:
    result = run("ls")

    assert (result.returncode, result.stdout) == (0, "")
    assert "no sessions" in result.stderr


def test_sweep_deletes_orphans_line_by_line(service: StandIn, run: Run) -> None:
    foreign = {service.add_session({"project": "foreign"}) for _ in range(200)}
    orphan = service.add_session(ours())
    kept = {service.add_session(ours(expires_in=600)), service.add_session({"created_by": "pytest-agb"})}

    result = run("sweep")

    assert result.returncode == 0
    lines = result.stdout.splitlines()
    assert f"deleted {orphan} (run run-1)" in lines
    assert any("its agb_expires label is missing" in line for line in lines)
    assert lines[-1] == "1 session deleted, 2 kept"
    assert result.stderr == ""  # no bar where nobody looks
    assert live(service) == foreign | kept


def test_sweep_of_a_named_run_takes_it_whole_and_no_other(service: StandIn, run: Run) -> None:
    kept = service.add_session(ours("run-1"))
    service.add_session(ours("run-2", 900))
    service.add_session(ours("run-3", 900, agb_ci_run="ci-3"))

    assert run("sweep", "--run", "run-2").returncode == 0
    assert run("sweep", "--ci-run", "ci-3").returncode == 0

    assert live(service) == {kept}


def test_older_than_goes_past_the_expiry(service: StandIn, run: Run) -> None:
    kept = service.add_session(ours(expires_in=60, age=60))
    service.add_session(ours(expires_in=60, age=31 * 60))

    assert run("sweep", "--older-than", "30m").stdout.endswith("1 session deleted, 1 kept\n")
    assert live(service) == {kept}


@pytest.mark.parametrize("older_than", ["0s", "5m", "15m", "1h", "2d"])
def test_older_than_goes_by_the_age_whatever_the_maximum_lifetime(
    service: StandIn, run: Run, older_than: str
) -> None:
    limit = {"0s": 0, "5m": 300, "15m": 900, "1h": 3600, "2d": 172_800}[older_than]
    kept = set()
    for max_lifetime in (60, 600, 1800, 86_400):
        for age in (-120, 100, 500, 1000, 2000, 5000, 86_900, 200_000):
            expires_in = max_lifetime + 600 - age
            session = service.add_session(ours(expires_in=expires_in, age=age))
            without = service.add_session(ours(expires_in=expires_in))
            if expires_in > 0:
                kept |= {without} if age > limit else {session, without}

    assert run("sweep", "--older-than", older_than).returncode == 0

    assert live(service) == kept


def test_what_tells_no_age_is_kept_by_older_than_and_shown(service: StandIn, run: Run) -> None:
    now = int(time.time())
    garbage = ["", "soon", "-5", "1", f"{now}000", "9" * 400, "\uff11" * 10]
    why = {service.add_session(ours(expires_in=60, agb_created=text)): "can't be read" for text in garbage}
    why[service.add_session(ours(expires_in=60))] = "is missing"
    why[service.add_session(ours(expires_in=60, age=-7200))] = "is in the future"
    service.add_session(ours(expires_in=60, age=5))

    lines = run("sweep", "--older-than", "1m").stdout.splitlines()

    told = {f"kept {session} (run run-1): its agb_created label {words}" for session, words in why.items()}
    assert set(lines[:-1]) == told
    assert lines[-1] == "0 sessions deleted, 10 kept"
    assert run("sweep").stdout == "0 sessions deleted, 10 kept\n"  # their age is not asked for
    reasons = {
        session["id"]: session["reason"]
        for session in json.loads(run("sweep", "--older-than", "1m", "--json").stdout)["sessions"]
    }
    assert {session: f"its agb_created label {words}" for session, words in why.items()}.items() <= (
        reasons.items()
    )


def test_a_dry_run_deletes_nothing_and_tells_that_something_would_go(service: StandIn, run: Run) -> None:
    orphan = service.add_session(ours())

    result = run("sweep", "--dry-run")

    assert result.returncode == 1
    assert f"would delete {orphan}" in result.stdout
    assert live(service) == {orphan}
    assert service.count(RELEASE) == 0
    assert run("sweep").returncode == 0
    assert run("sweep", "--dry-run").returncode == 0


def test_json_is_one_object_with_the_documented_keys(service: StandIn, run: Run) -> None:
    orphan = service.add_session(ours(age=41 * 60, agb_ci_run="ci-1"))
    service.add_session(ours(expires_in=600))
    stubborn = service.add_session(ours())
    service.undeletable.add(stubborn)

    result = run("sweep", "--json")

    assert result.returncode == 1
    report = json.loads(result.stdout)
    assert set(report) == SUMMARY
    assert (report["deleted"], report["kept"], report["left"], report["finished"]) == (1, 1, 1, True)
    by_action: dict[str, dict[str, Any]] = {session["action"]: session for session in report["sessions"]}
    assert set(by_action) == {"deleted", "kept", "left"}
    assert all(set(session) == KEYS for session in report["sessions"])
    deleted = by_action["deleted"]
    assert (deleted["id"], deleted["run"], deleted["ci_run"], deleted["slot"]) == (
        orphan,
        "run-1",
        "ci-1",
        "slot-1",
    )
    assert deleted["age_seconds"] == pytest.approx(41 * 60, abs=30)
    assert deleted["created_at"] == pytest.approx(time.time() - 41 * 60, abs=30)
    assert by_action["left"]["id"] == stubborn
    assert (by_action["kept"]["created_at"], by_action["kept"]["age_seconds"]) == (None, None)


def test_json_of_nothing_and_of_an_error_parse_too(run: Run) -> None:
    assert json.loads(run("ls", "--json").stdout)["sessions"] == []
    report = json.loads(run("sweep", "--json", AGB_API_KEY="ako-wrong").stdout)
    assert report["finished"] is False
    assert "API key" in report["error"]


def test_what_could_not_be_deleted_is_named(service: StandIn, run: Run) -> None:
    service.add_session(ours())
    stubborn = service.add_session(ours())
    service.undeletable.add(stubborn)

    result = run("sweep")

    assert result.returncode == 1
    assert f"not deleted: {stubborn}: " in result.stderr
    assert result.stdout.endswith("1 session deleted, 0 kept, 1 not deleted\n")


@pytest.mark.parametrize(
    ("arguments", "environment", "says"),
    [
        (["ls"], {"AGB_API_KEY": ""}, "Set AGB_API_KEY"),
        (["sweep"], {"AGB_API_KEY": "ako-wrong"}, "Check AGB_API_KEY"),
        (["sweep"], {"AGB_ENDPOINT": "http://127.0.0.1:9"}, "no connection to http://127.0.0.1:9"),
        (["ls"], {"AGB_ENDPOINT": "ftp://x"}, "AGB_ENDPOINT"),
        (["ls"], {"AGB_TIMEOUT_MS": "soon"}, "AGB_TIMEOUT_MS"),
        (["sweep", "--older-than", "soon"], {}, "'soon' is no duration: give one such as 90s, 30m"),
        (["sweep", "--older-than", "30"], {}, "'30' is no duration"),
        (["sweep", "--older-than", "-5m"], {}, "--older-than"),
        (["sweep", "--older-than", "\u00b2m"], {}, "'\u00b2m' is no duration"),
        (["ls"], {"AGB_TIMEOUT_MS": "\u00b2"}, "AGB_TIMEOUT_MS: '\u00b2' is not a number of milliseconds"),
        (["ls"], {"AGB_TIMEOUT_MS": "9" * 400}, "AGB_TIMEOUT_MS: '999"),
        (["sweep", "--run", ""], {}, "the run to select is empty"),
        (["sweep", "--ci-run", " "], {}, "the CI run to select is empty"),
        (["sweep", "--run", "a", "--older-than", "1h"], {}, "not both"),
        (["sweep", "--nonsense"], {}, "--nonsense"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_can_not_be_done_is_one_line_and_status_2(
    service: StandIn, run: Run, arguments: list[str], environment: dict[str, str], says: str
) -> None:
    session = service.add_session(ours())

    result = run(*arguments, **environment)

    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("pytest-agb")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    assert live(service) == {session}


def test_a_label_does_nothing_to_a_terminal(service: StandIn, run: Run) -> None:
    service.add_session(ours("run\x1b[2J\nfake line"))

    assert "\x1b" not in run("ls").stdout
    assert len(run("sweep").stdout.splitlines()) == 2


@pytest.mark.parametrize("arguments", [["--help"], ["sweep", "--help"], ["serve", "--help"]])
def test_help_brings_nothing_heavy(arguments: list[str]) -> None:
    heavy = {"httpx", "asyncio", "dataclasses", "subprocess", "pytest_agb.client", "pytest_agb.pool"}
    script = (
        "import sys, pytest_agb.cli as cli\n"
        f"try: cli.main({arguments})\n"
        "except SystemExit: pass\n"
        f"sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    )

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)

    assert done.stderr == ""


@pytest.mark.parametrize("json_asked", [False, True])
def test_ctrl_c_says_how_far_it_got(service: StandIn, tmp_path: Path, json_asked: bool) -> None:
    for _ in range(1000):
        service.add_session(ours())
    service.latency[RELEASE] = 0.1
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest_agb", "sweep", *(["--json"] if json_asked else [])],
        env=_environment(service),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    eventually(lambda: len(service.live_sessions()) < 990, "some are deleted")

    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)

    assert process.returncode == 130
    gone = 1000 - len(service.live_sessions())
    assert 0 < gone < 1000
    assert "Traceback" not in err
    if json_asked:
        report = json.loads(out)
        assert (report["deleted"], report["error"], report["finished"]) == (gone, "interrupted", False)
    else:
        assert err == f"pytest-agb: interrupted; {gone} sessions deleted before\n"


def test_a_reader_that_leaves_is_no_traceback(service: StandIn, tmp_path: Path) -> None:
    for _ in range(300):
        service.add_session(ours())
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "pytest_agb", "ls"],
        env=_environment(service),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()

    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 1


def test_a_terminal_sees_a_bar(service: StandIn, tmp_path: Path) -> None:
    for _ in range(300):
        service.add_session(ours())
    ours_end, its_end = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "pytest_agb", "sweep"],
        env=_environment(service),
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=its_end,
        stderr=its_end,
    ):
        os.close(its_end)
        seen = b""
        try:
            while chunk := os.read(ours_end, 65536):
                seen += chunk
        except OSError:  # how Linux tells the end of a terminal
            pass
        os.close(ours_end)

    shown = seen.decode()
    assert "of 300, " in shown
    assert shown.endswith("\r\x1b[K300 sessions deleted, 0 kept\r\n")
    assert "deleted session-" not in shown
