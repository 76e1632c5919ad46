"""A detached process of which a run has one per host: the keeper, or the local server.

It holds a lock for life, by which others tell that it is there, and is started under another, by whichever
process first needs it; again, up to a limit, where it died.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from json import dumps, loads
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pytest_agb import real
from pytest_agb.run import detach, members, run_directory
from pytest_agb.run.pulse import Pulse
from pytest_agb.run.restart_limit import RESTART_SECONDS, RESTARTS, RestartLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

#: Seconds that one may take to be ready; on an idle machine it takes a fraction of one.
_START_SECONDS = 60.0
#: Seconds that one may take to leave before the next takes its place, and those between two looks.
_LEAVE_SECONDS = 20.0
_POLL_SECONDS = 0.02


class RestartLimitError(detach.DetachError):
    """It dies again and again, and is not started any more. The message has the end of its log."""


def joining_lock(temp: str = "") -> FileLock:
    """Held while a process joins a run, or finds a run over and takes its directory away."""
    return FileLock(run_directory.make_base(temp) / "joining.lock")


def join(run_id: str, role: members.Role, temp: str = "") -> members.Member | None:
    """Become a member of a run; ``None`` if it has no directory here any more."""
    with joining_lock(temp):
        run = run_directory.path(run_id, temp)
        return members.Member(run / "members", role) if run.is_dir() else None


class OnePerHost:
    """The place of one such process in a run's directory."""

    def __init__(self, run: Path, name: str) -> None:
        self._run = run
        self._name = name
        self._alive = run / f"{name}.alive"
        self._report = run / f"{name}.json"
        self._starting = run / f"{name}.lock"
        self._restarts = RestartLimit(run / f"{name}.restarts")
        #: In the process itself: what it has reported.
        self._said = ""
        #: What it and its libraries print.
        self.log = run / f"{name}.log"

    def running(self) -> dict[str, Any] | None:
        """What it reported when it was ready, if it is alive."""
        try:
            if self._is_locked():
                report: dict[str, Any] = loads(real.read_text(self._report))
                return report
        except (FileNotFoundError, ValueError):
            pass  # it is starting: the lock around the start decides. Or it was damaged
        return None

    def ensure(self, target: str, payload: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
        """Return what it reported, starting it if it is not there; ``payload`` is only made then.

        Raises:
            RestartLimitError: it died too often.
            pytest_agb.run.detach.DetachError: it can't be started.
        """
        report = self.running()
        if report is not None:
            return report
        if not self._run.is_dir():  # the lock would make it anew, for everybody to look into
            raise detach.DetachError(f"somebody has removed the run's directory {self._run}")
        with FileLock(self._starting):
            report = self._settled()
            if report is not None:
                return report
            if self._report.exists():  # one was ready, and did not leave
                self._restart()
            return detach.start(
                target,
                payload(),
                directory=self._run,
                log=self.log,
                temp=run_directory.temp_of(self._run),
                timeout_seconds=_START_SECONDS,
            )

    def _settled(self) -> dict[str, Any] | None:
        """As `running`, once one that lives is ready, or has left.

        Raises:
            pytest_agb.run.detach.DetachError: it does neither.
        """
        end = real.boot_seconds() + _LEAVE_SECONDS
        while (report := self.running()) is None and self._is_locked():
            if real.boot_seconds() > end:
                unready = f"the run's {self._name} lives, and does not get ready"
                raise detach.DetachError(self.standstill() or unready)
            real.sleep(_POLL_SECONDS)
        return report

    def _is_locked(self) -> bool:
        try:
            return members.is_locked(self._alive)
        except FileNotFoundError:
            return False

    def given_up(self) -> bool:
        """Whether it died, and is not started again."""
        return self.running() is None and self._report.exists() and self._restarts.reached()

    def log_tail(self) -> str:
        """The end of what it and its libraries printed; empty if that is nothing."""
        return self.log.read_text(errors="replace")[-2000:].strip() if self.log.exists() else ""

    def _restart(self) -> None:
        if self._restarts.reached():
            raise RestartLimitError(
                f"the run's {self._name} died {RESTARTS + 1} times within {RESTART_SECONDS / 60:g} minutes "
                f"and is not started again. Its log ends with: {self.log_tail() or 'nothing'}"
            )
        self._restarts.count()
        self._report.unlink()

    def standstill(self) -> str:
        """Say that it is stopped, and how it goes on; empty if it is not."""
        pulse = Pulse.read(self._alive)
        still = pulse.still_seconds() if pulse and self._is_locked() else 0.0
        if pulse is None or not still:
            return ""
        return (
            f"the run's {self._name} (process {pulse.pid}) has stood still for {still:.0f} s, stopped by a "
            f"signal, a debugger or a frozen cgroup; after a signal kill -CONT {pulse.pid} lets it go on"
        )

    def goes_on_from_memory(self) -> bool:
        """Whether it lives and can't use the run's tables."""
        pulse = Pulse.read(self._alive)
        return pulse is not None and pulse.from_memory and self._is_locked()

    def live(self) -> Callable[[bool], None]:
        """Be it: hold the lock until this process ends. Only one process can.

        Returns:
            Shows others that it goes on; to be called every second at least, once it is called. The argument
            says whether it does without the run's tables.

        Raises:
            TimeoutError: another one lives, and does not leave.
        """
        descriptor = os.open(self._alive, os.O_RDWR | os.O_CREAT, 0o600)
        end = real.boot_seconds() + _LEAVE_SECONDS
        while True:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except (BlockingIOError, PermissionError):
                if real.boot_seconds() > end:
                    raise TimeoutError(f"another {self._name} of the run lives, and is not ready") from None
                real.sleep(_POLL_SECONDS)

        self._held = members.identity(os.fstat(descriptor))

        def beat(from_memory: bool) -> None:
            with suppress(OSError):  # nobody sees it, then
                Pulse.beat(descriptor, from_memory=from_memory)
                if self._said and not self.lost() and not self._is_said():
                    self._say()

        return beat

    def lost(self) -> bool:
        """Whether the directory in which it lives was removed; by its path there may be another by now."""
        return not members.is_at(self._alive, self._held)

    def leave(self) -> None:
        """Say that its end is no death, while it still holds the lock."""
        self._said = ""
        self._report.unlink(missing_ok=True)

    def ready(self, report: Mapping[str, Any]) -> None:
        """Let others find ``report``; again, where somebody has removed it, with the next beat."""
        self._said = dumps(dict(report))
        self._say()

    def _is_said(self) -> bool:
        return self._report.exists() and self._report.read_bytes() == self._said.encode()

    def _say(self) -> None:
        new = self._report.with_suffix(".new")
        new.write_text(self._said)
        new.rename(self._report)
