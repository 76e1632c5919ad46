"""What every test stands on: an environment without an account, and a temp directory that must end empty."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.deadline import eventually
from support.pool_runs import finish
from support.standin import StandIn
from support.suite import Suite, end_keepers, nothing_to_keep

from pytest_agb.pool.pool import Pool
from pytest_agb.run import run_directory
from pytest_agb.settings import Settings

#: Variables that would change what a run does: the account's, pytest's, and those of CI systems.
_LEFT_OUT = (
    "AGB_",
    "PYTEST_",
    "GITHUB_",
    "GITLAB_",
    "CI",
    "CIRCLE",
    "BUILDKITE",
    "BUILD_",
    "TF_BUILD",
    "JENKINS_",
)


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts a background job (a CI system's, say) with SIGINT ignored, and children inherit that:
    # the processes that tests start and interrupt would not notice.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(_LEFT_OUT):
            monkeypatch.delenv(name)
    # Else each process that a test starts compiles the package again: as much work as all else that it does.
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)
    # httpx brings anyio, and that a plugin whose import takes as long as pytest's own, in each run of a test.
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p no:anyio")


@pytest.fixture
def temp_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A TMPDIR of the test's own, so that what a run leaves behind can be seen."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    return directory


@pytest.fixture
def left_behind(temp_directory: Path) -> Iterator[None]:
    """The run under test must leave no state of its own in the temp directory."""
    yield
    eventually(lambda: not list(temp_directory.glob("pytest-agb-*/*run-*")), "the run's directory is gone")


@pytest.fixture
def delete_seconds() -> float:
    """How long the `suite`'s service takes to delete a session."""
    return 0.5


@pytest.fixture
def suite(
    tmp_path: Path, temp_directory: Path, monkeypatch: pytest.MonkeyPatch, delete_seconds: float
) -> Iterator[Suite]:
    directory = tmp_path / "suite"
    directory.mkdir()
    with StandIn(delete_seconds=delete_seconds) as service:
        monkeypatch.setenv("AGB_ENDPOINT", service.endpoint)
        monkeypatch.setenv("AGB_API_KEY", service.api_key)
        (directory / "pytest.ini").write_text("[pytest]\n")
        yield Suite(directory, service)
        eventually(lambda: nothing_to_keep(temp_directory), "the keeper has nothing left to do")


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def settings(service: StandIn, temp_directory: Path) -> Settings:
    """A run on that service."""
    return Settings(
        backend="cloud",
        run_id="run-00000001",
        images=("agb-code-space-1",),
        labels={},
        scope="function",
        idle_timeout=300,
        local_isolation="auto",
        endpoint=service.endpoint,
        timeout_seconds=10.0,
        api_key=service.api_key,
    )


@pytest.fixture
def pools(settings: Settings) -> Iterator[Callable[[], Pool]]:
    """Makes pools of one run, each as a process of it has one."""
    opened: list[Pool] = []

    def make() -> Pool:
        opened.append(Pool(settings))
        return opened[-1]

    yield make
    for pool in opened:
        pool.close()
    finish(settings)
    eventually(
        lambda: not run_directory.path(settings.run_id).exists(), "the keeper has left, with the directory"
    )


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, temp_directory: Path) -> Iterator[StandIn]:
    """A stand-in service, set in the environment as the cloud is: its account is what the suite sees."""
    with StandIn() as service:
        monkeypatch.setenv("AGB_ENDPOINT", service.endpoint)
        monkeypatch.setenv("AGB_API_KEY", service.api_key)
        yield service
        end_keepers(temp_directory)
