"""What `pytest-agb` says of itself, of what it looks for, and of where it is; in this process."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from support.command_line import Run, Said
from support.standin import StandIn

import pytest_agb
from pytest_agb.cli import sweep
from pytest_agb.labels import RunLabels
from pytest_agb.sweep.outcome import Action, Settled
from pytest_agb.sweep.selection import FoundSession


def add(service: StandIn, run: str = "run-1", expires_in: float = -60, **more: str) -> str:
    labels = {"created_by": "pytest-agb", "agb_run": run, "agb_expires": str(int(time.time() + expires_in))}
    return service.add_session({**labels, **more})


GITHUB = {"GITHUB_ACTIONS": "true", "GITHUB_RUN_ID": "7", "GITHUB_RUN_ATTEMPT": "2"}


def test_without_a_command_it_lists_the_commands(run: Run) -> None:
    said = run()

    assert said.returncode == 2  # a script whose variable was empty has done nothing
    for command in ("ls", "sweep", "serve", "doctor"):
        assert f"\n    {command} " in said.stderr


def test_it_tells_its_version(run: Run) -> None:
    assert run("--version") == Said(0, f"pytest-agb {pytest_agb.__version__}\n", "")


@pytest.mark.parametrize("number", [1, 150])
def test_the_columns_of_ls_fit_what_is_in_them(
    number: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now)
    labels = RunLabels(
        run="nightly-of-a-long-name-12345678", ci_run="github-123456789-1", slot="0123456789abcdef"
    )
    ids = [f"session-{number:024x}" for number in range(number)]  # as the local server makes them
    table = sweep._Table("")

    for session in ids:
        table.event(Settled(Action.KEPT, FoundSession(session, labels)))
    table.end(None, "interrupted")

    header, *rows = capsys.readouterr().out.splitlines()
    starts = [header.index(title) for title in ("ID", "RUN", "CI RUN", "SLOT", "AGE", "EXPIRES")]
    assert [row.split()[0] for row in rows] == ids
    for row in rows:
        assert [row[start - 2 : start] for start in starts[1:]] == ["  "] * 5
        assert row.split() == [row[start:].split()[0] for start in starts]


def test_ls_shows_what_it_has_before_it_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    table = sweep._Table("")
    for number in range(150):
        table.event(Settled(Action.KEPT, FoundSession(f"session-{number}", RunLabels())))

    assert len(capsys.readouterr().out.splitlines()) == 151


def test_a_dry_run_says_would(service: StandIn, run: Run) -> None:
    assert run("sweep", "--dry-run") == Said(0, "0 sessions would be deleted, 0 kept\n", "")
    orphan = add(service)

    said = run("sweep", "--dry-run")

    assert said == Said(1, f"would delete {orphan} (run run-1)\n1 session would be deleted, 0 kept\n", "")


def test_a_sweep_names_the_run_it_looked_for(service: StandIn, run: Run) -> None:
    add(service, "run-2", 900, agb_ci_run="github-7-2")

    assert run("sweep", "--run", "run-1") == Said(0, "no sessions of run run-1\n", "")
    assert run("sweep", "--ci-run", "github-7-1").stdout == "no sessions of CI run github-7-1\n"
    other = {**GITHUB, "GITHUB_RUN_ID": "8"}
    assert run("sweep", "--this-ci-run", **other).stdout == "no sessions of CI run github-8-2\n"
    assert run("ls", "--this-ci-run", **other).stderr == "no sessions of CI run github-8-2\n"
    listed = run("ls", "--this-ci-run", **GITHUB).stdout.splitlines()
    assert [line.split()[1] for line in listed] == ["RUN", "run-2"]
    assert run("sweep", "--dry-run", "--this-ci-run", **GITHUB).returncode == 1

    said = run("sweep", "--this-ci-run", **GITHUB)

    assert said.returncode == 0
    assert said.stdout.endswith("\nCI run github-7-2: 1 session deleted, 0 kept\n")
    assert service.live_sessions() == []


def test_without_a_key_the_sweep_of_this_ci_run_is_no_failure_unless_one_is_required(
    service: StandIn, run: Run
) -> None:
    """Pull requests from forks are given no secrets."""
    fork = {**GITHUB, "AGB_API_KEY": ""}

    said = run("sweep", "--this-ci-run", **fork)
    assert (said.returncode, said.stdout) == (0, "")
    assert said.stderr.startswith(
        "pytest-agb: AGB_API_KEY is not set, as in a pull request from a fork: not "
    )
    assert "of CI run github-7-2 (--require-key" in said.stderr
    report = json.loads(run("sweep", "--this-ci-run", "--json", **fork).stdout)
    assert (report["finished"], report["sessions"]) == (False, [])
    assert report["error"].startswith("AGB_API_KEY is not set")

    for arguments in (("--this-ci-run", "--require-key"), ("--ci-run", "github-7-2"), ()):
        said = run("sweep", *arguments, **fork)
        assert said.returncode == 2, arguments
        assert "Set AGB_API_KEY" in said.stderr
    assert service.count("/sdk/ListSession") == 0


def test_outside_ci_there_is_no_this_ci_run(service: StandIn, run: Run) -> None:
    add(service)

    for arguments in ("sweep --this-ci-run", "sweep --this-ci-run --require-key", "ls --this-ci-run"):
        said = run(*arguments.split(), AGB_API_KEY="")
        assert (said.returncode, said.stdout) == (2, "")
        assert "this is no job of a CI system" in said.stderr
        assert "--ci-run ID" in said.stderr
    assert run("sweep", "--this-ci-run", "--ci-run=x").returncode == 2
    assert len(service.live_sessions()) == 1


class Doctor:
    """The rows of its report."""

    def __init__(self, said: Said) -> None:
        self.returncode = said.returncode
        self.rows: dict[str, str] = {}
        title = ""
        for line in said.stdout.splitlines():
            title = line[:11].strip() or title
            self.rows[title] = f"{self.rows.get(title, '')}{line[11:]}\n"


def test_doctor_says_what_would_happen_and_why(service: StandIn, run: Run, tmp_path: Path) -> None:
    cloud = Doctor(run("doctor", **GITHUB))

    assert cloud.returncode == 0
    assert cloud.rows["versions"].startswith(f"pytest-agb {pytest_agb.__version__}, Python 3.")
    assert f"pytest {pytest.__version__}" in cloud.rows["versions"]
    assert cloud.rows["backend"].startswith("cloud: there is an API key")
    assert cloud.rows["key"] == "AGB_API_KEY, from the environment\n"
    assert cloud.rows["endpoint"] == f"{service.endpoint}, from the environment\n"
    assert cloud.rows["service"].endswith(" and takes the key\n")
    assert cloud.rows["CI run"] == "github-7-2\n"
    assert cloud.rows["isolation"]
    for language in ("python: /", "javascript: ", "java: ", "r: "):
        assert f"\n{language}" in f"\n{cloud.rows['languages']}"
    assert service.count("/mcp/createSession") == 0

    (tmp_path / ".env").write_text(f"AGB_API_KEY={service.api_key}\nAGB_ENDPOINT={service.endpoint}\n")
    dotenv = Doctor(run("doctor", AGB_API_KEY="", AGB_ENDPOINT=""))
    assert dotenv.returncode == 0
    assert dotenv.rows["key"] == f"AGB_API_KEY, from {tmp_path}/.env\n"
    assert dotenv.rows["endpoint"] == f"{service.endpoint}, from {tmp_path}/.env\n"
    assert dotenv.rows["CI run"].startswith("none: ")

    (tmp_path / ".env").write_text("OTHER=1\n")
    local = Doctor(run("doctor", AGB_API_KEY="", AGB_ENDPOINT=""))
    assert local.rows["backend"].startswith("local: there is no API key")
    assert local.rows["key"] == (
        f"none: AGB_API_KEY is set neither in the environment nor in {tmp_path}/.env, which has none\n"
    )
    assert "service" not in local.rows


def test_doctor_tells_what_keeps_a_test_from_a_session(run: Run, tmp_path: Path) -> None:
    wrong = Doctor(run("doctor", AGB_API_KEY="ako-wrong-and-secret"))
    assert (wrong.returncode, wrong.rows["backend"][:6]) == (1, "cloud:")
    assert "The API key [API key] is invalid" in wrong.rows["service"]

    garbled = Doctor(run("doctor", AGB_API_KEY="ako-wrong\nand-secret"))
    assert garbled.returncode == 1
    assert "holds characters that no key has" in garbled.rows["service"]
    assert "and-secret" not in str(garbled.rows)

    refused = Doctor(run("doctor", AGB_ENDPOINT="http://127.0.0.1:9"))
    assert refused.returncode == 1
    assert "no connection to http://127.0.0.1:9" in refused.rows["service"]

    (tmp_path / ".env").write_text("AGB_ENDPOINT=https://stranger.invalid\n")
    diverted = Doctor(run("doctor", AGB_ENDPOINT=""))
    assert diverted.returncode == 1
    assert "the API key comes from the environment, and AGB_ENDPOINT from .env" in diverted.rows["account"]
    assert diverted.rows["isolation"]


@pytest.mark.parametrize("without", ["isolation", "packages"])
def test_doctor_tells_what_local_sandboxes_lack(
    run: Run, monkeypatch: pytest.MonkeyPatch, without: str
) -> None:
    from pytest_agb.cli import doctor
    from pytest_agb.local import server
    from pytest_agb.local.isolation.choose import Obstacle

    def choose(requested: str) -> str:
        if without == "isolation":
            raise server.IsolationUnavailable([Obstacle("this machine forbids it", "sudo allow it")])
        return "landlock"

    monkeypatch.setattr(server, "choose", choose)
    monkeypatch.setattr(doctor, "_LOCAL", ("starlette", "not-installed") if without == "packages" else ())

    local, cloud = Doctor(run("doctor", AGB_API_KEY="")), Doctor(run("doctor"))

    assert (local.returncode, cloud.returncode) == (1, 0)
    words = {
        "isolation": "sudo allow it\n",
        "packages": "local sandboxes need not-installed: pip install 'pytest-agb[local]'",
    }
    assert words[without] in local.rows["isolation"]
    assert words[without] in cloud.rows["isolation"]
