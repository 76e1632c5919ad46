"""A suite that is ended in some way, against a stand-in that has foreign sessions besides."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from pytest_agb.run.members import Role, is_locked
from pytest_agb.store.database import Database, StateError
from pytest_agb.store.slots import SlotState, SlotTable
from support.deadline import eventually
from support.standin import StandIn, StandInSession

#: Seconds after the end of a run within which nothing of it may be left.
LIMIT_SECONDS = 10.0
FOREIGN = 200

#: Two tests that say when they have their session, and then stand still.
WAITS = """
    def test_it(agb_session):
        ready()
        time.sleep(60)

    def test_other(agb_session):
        ready()
        time.sleep(60)
"""


def options(workers: list[str], scope: str) -> list[str]:
    """The command line for so many workers and this scope."""
    return [*workers, f"--agb-scope={scope}"]


#: Each use of a session leaves a file that is named after it.
USE = """
    def use(session, name):
        session.get_status().check()
        (SEEN / f"{name} {session.session_id}").write_text("")
"""


class Suite:
    """A run of pytest in a process group of its own."""

    def __init__(self, directory: Path, service: StandIn) -> None:
        self.directory = directory
        self.service = service
        self.seen = directory / "seen"
        self.seen.mkdir()
        # Some look like ours: another run's, or somebody's who copied a label.
        labels = (
            {"project": "x"},
            {"created_by": "agb-sdk"},
            {"created_by": "pytest-agb", "agb_run": "other"},
        )
        self._foreign = {service.add_session(labels[number % 3]) for number in range(FOREIGN)}

    def write(self, source: str, name: str = "test_suite.py") -> None:
        header = (
            "import os, pathlib, pytest, signal, sys, threading, time\n"
            f"SEEN = pathlib.Path({str(self.seen)!r})\n"
            "def ready(): (SEEN / str(os.getpid())).write_text('')\n"
        )
        (self.directory / name).write_text(header + textwrap.dedent(source))

    def start(
        self,
        *arguments: str,
        prefix: tuple[str, ...] = (),
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start pytest, under the command ``prefix``.

        What it prints is the suite's `output`, unless ``stdout`` says otherwise.
        """
        with (self.directory / "output.txt").open("wb") as output:
            return subprocess.Popen(
                [*prefix, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments],
                cwd=self.directory,
                env={**os.environ, **(environment or {})},
                stdin=stdin,
                stdout=output if stdout is None else stdout,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def run(self, *arguments: str) -> str:
        with self.start(*arguments) as process:
            process.wait(120)
        return self.output

    @property
    def output(self) -> str:
        return (self.directory / "output.txt").read_text()

    def wait_until_ready(self, number: int = 1) -> None:
        eventually(lambda: len(list(self.seen.iterdir())) >= number, "the test has its session", seconds=60)

    def kill_group(self, process: subprocess.Popen[bytes], number: signal.Signals) -> None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            assert process.poll() is not None  # it has ended by itself meanwhile

    @property
    def own(self) -> list[StandInSession]:
        """The live sessions that are not foreign."""
        live = self.service.live_sessions()
        return [session for session in live if session.session_id not in self._foreign]

    @property
    def created(self) -> list[StandInSession]:
        """All that were ever created, but for the foreign ones."""
        sessions = list(self.service.sessions.values())
        return [session for session in sessions if session.session_id not in self._foreign]

    def assert_nothing_left(self, *, created: int = 1) -> None:
        assert self.service.count("/mcp/createSession") >= created
        eventually(lambda: not self.own, "no session is left", seconds=LIMIT_SECONDS)
        live = {session.session_id for session in self.service.live_sessions()}
        assert live == self._foreign, "a foreign session was deleted"

    def assert_says_nothing_left(self) -> None:
        """The run has reported, and that every session is deleted."""
        reported = re.findall(
            r"^agb: (\d+) sessions? created, (\d+) deleted, 0 kept, 0 left$", self.output, re.M
        )
        assert len(reported) == 1, self.output
        assert reported[0][0] == reported[0][1] != "0"


def nothing_to_keep(temp_directory: Path) -> bool:
    """Whether no slot is left, but for creates that were cut off: the keeper looks for those for a minute."""
    for path in temp_directory.glob("pytest-agb-*/run-*/slots.sqlite3"):
        try:
            with closing(Database(path)) as database:
                if any(
                    slot.state is not SlotState.LOST for slot in SlotTable(database, clock=time.time).left()
                ):
                    return False
        except StateError:
            return False  # it is being removed at this moment: look again
    return True


def background_processes(temp_directory: Path) -> list[int]:
    """The keepers and servers of runs with this temp directory, whatever became of their files."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended, or is not ours
            is_ours = f"TMPDIR={temp_directory}".encode() in (process / "environ").read_bytes().split(b"\0")
            if is_ours and b"pytest_agb.run.detach" in (process / "cmdline").read_bytes():
                found.append(int(process.name))
    return found


def end_keepers(temp_directory: Path) -> None:
    """End the keepers that a test leaves on purpose: they would try on for as long as a session can live."""
    for path in temp_directory.glob(f"pytest-agb-*/run-*/members/{Role.KEEPER.value}-*"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has just left by itself
            if is_locked(path):
                os.kill(int(path.name.split("-")[1]), signal.SIGKILL)


def uses(suite: Suite) -> list[list[str]]:
    """Name and session of each use."""
    return sorted(path.name.split() for path in suite.seen.iterdir())
