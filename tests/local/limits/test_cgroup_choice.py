"""Only what is delegated to us is divided into cgroups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_agb.local.limits import cgroup


@pytest.fixture(autouse=True)
def ordinary(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """To root everything is open; what is asked here is whose it is."""
    owner = tmp_path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner or 1000)
    if owner == 0:
        stat = os.stat
        monkeypatch.setattr(os, "stat", lambda path: _owned_by(1000, stat(path)))


def _owned_by(user: int, found: os.stat_result) -> os.stat_result:
    values = list(found)
    values[4] = user
    return os.stat_result(values)


def make(
    path: Path, *, controllers: str = "cpu memory pids", passed_on: str = "", processes: str = ""
) -> Path:
    path.mkdir(parents=True)
    (path / "cgroup.controllers").write_text(controllers)
    (path / "cgroup.subtree_control").write_text(passed_on)
    (path / "cgroup.procs").write_text(processes)
    return path


def test_a_service_that_runs_us_in_a_subgroup(tmp_path: Path) -> None:
    """As systemd does with Delegate=yes and DelegateSubgroup=."""
    service = make(tmp_path / "system.slice" / "ci.service")
    make(service / "runner", controllers="", processes="1\n")
    assert cgroup.find(str(tmp_path), "/system.slice/ci.service/runner") == str(service)


def test_one_that_is_divided_already(tmp_path: Path) -> None:
    service = make(tmp_path / "ci.service", passed_on="memory pids")
    make(service / "a", controllers="")
    make(service / "a" / "b", controllers="", processes="1\n")
    assert cgroup.find(str(tmp_path), "/ci.service/a/b") == str(service)


def test_processes_beside_us_are_in_the_way(tmp_path: Path) -> None:
    """The kernel passes no controller on from where there are some."""
    make(tmp_path / "run-1.scope", processes="1\n2\n")
    assert cgroup.find(str(tmp_path), "/run-1.scope") is None


def test_without_a_controller_for_memory_it_is_of_no_use(tmp_path: Path) -> None:
    service = make(tmp_path / "ci.service", controllers="cpu pids")
    make(service / "runner", controllers="", processes="1\n")
    assert cgroup.find(str(tmp_path), "/ci.service/runner") is None


def test_nothing_is_taken_that_is_beyond_our_own_unit(tmp_path: Path) -> None:
    """The user's manager has all of this, and divides it itself."""
    manager = make(tmp_path / "user@1000.service", passed_on="memory pids")
    apps = make(manager / "app.slice", passed_on="memory pids")
    make(apps / "terminal.scope", processes="1\n")
    assert cgroup.find(str(tmp_path), "/user@1000.service/app.slice/terminal.scope") is None
    make(manager / "run-1.scope", processes="1\n")
    assert cgroup.find(str(tmp_path), "/user@1000.service/run-1.scope") is None


def test_nothing_is_taken_that_is_somebody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = make(tmp_path / "ci.service")
    make(service / "runner", controllers="", processes="1\n")
    monkeypatch.setattr(os, "getuid", lambda: 4711)
    assert cgroup.find(str(tmp_path), "/ci.service/runner") is None


def test_root_takes_only_what_is_marked_as_delegated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    service = make(tmp_path / "ci.service")
    make(service / "runner", controllers="", processes="1\n")
    monkeypatch.setattr(os, "getuid", lambda: 0)
    marks: dict[str, dict[str, bytes]] = {}

    def getxattr(path: str, name: str) -> bytes:
        try:
            return marks[path][name]
        except KeyError:
            raise OSError(61, "No data available") from None

    monkeypatch.setattr(os, "getxattr", getxattr, raising=False)
    assert cgroup.find(str(tmp_path), "/ci.service/runner") is None
    marks[str(service)] = {"trusted.delegate": b"1"}
    assert cgroup.find(str(tmp_path), "/ci.service/runner") == str(service)
