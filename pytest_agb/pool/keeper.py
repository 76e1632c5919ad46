"""The keeper: the run's background process on a host. It keeps leased sessions alive and deletes the others.

Deleting is its work alone, so that a fixture's teardown is a local write, and so that sessions are deleted
whatever becomes of pytest: when a member dies its leases are deleted; when none lives, everything is, and
then the keeper leaves.
"""

from __future__ import annotations

import shutil
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_agb import labels as label_rules
from pytest_agb.client import AGB, AGBError, Session
from pytest_agb.pool import members, server_process
from pytest_agb.pool.background import Background, joining_lock
from pytest_agb.pool.slots import Slot, SlotState, SlotTable
from pytest_agb.settings import CLOUD, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: What the controller writes when it has reported the end of the run, so that the keeper may leave.
REPORTED = "reported"


@dataclass(frozen=True)
class KeeperSettings:
    """The keeper's durations."""

    #: Between two looks at what the members have written.
    poll_seconds: float = 0.05
    #: Between two looks at who is alive.
    members_seconds: float = 0.25
    #: To look for the session of a create whose answer was lost: labels show up late.
    lost_seconds: float = 60.0
    #: To wait for the controller to report, when all is done.
    linger_seconds: float = 5.0
    #: Between two requests for one session: the first, growing to the longest.
    first_retry_seconds: float = 0.25
    longest_retry_seconds: float = 30.0
    #: Requests under way at once.
    concurrency: int = 8


@dataclass
class _Task:
    """What the keeper is doing about one slot."""

    due: float
    pause: float
    #: The service has accepted the release; what is left is to see that the session is gone.
    accepted: bool = False
    running: Future[None] | None = None


class Keeper:
    """One keeper. `step` starts what is due and returns; `run` goes on until there is nothing to keep."""

    def __init__(
        self,
        run: Path,
        settings: Settings,
        *,
        durations: KeeperSettings | None = None,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._run = run
        self._settings = settings
        self._durations = durations or KeeperSettings()
        self._clock = clock
        self._sleep = sleep
        self.member = members.Member(run / "members", "keeper")
        self._slots = SlotTable(run / "slots.sqlite3", clock=clock)
        self._clients: dict[str, AGB] = {}
        self._threads = ThreadPoolExecutor(self._durations.concurrency, thread_name_prefix="keeper")
        self._tasks: dict[str, _Task] = {}
        self._kept_alive: dict[str, float] = {}
        self._version = -1
        self._members_due = 0.0
        self._others = True

    def run(self) -> None:
        """Keep until the run is over and nothing of it is left that can be deleted."""
        finished_at: float | None = None
        while True:
            self.step()
            if self._others or self._unfinished():
                finished_at = None
            else:
                finished_at = finished_at or self._clock()
                reported = (self._run / REPORTED).exists()
                if (
                    reported or self._clock() - finished_at >= self._durations.linger_seconds
                ) and self._leave():
                    return
            self._sleep(self._durations.poll_seconds)

    def step(self) -> None:
        """Do what is due."""
        now = self._clock()
        if now >= self._members_due:
            self._others = members.any_alive(self._run / "members", but=self.member.name)
            self._members_due = now + self._durations.members_seconds
        elif self._slots.version() == self._version and not self._tasks:
            return
        self._version = self._slots.version()
        for slot in self._slots.left():
            self._look_after(slot, now)

    def _look_after(self, slot: Slot, now: float) -> None:
        if slot.state in (SlotState.CREATING, SlotState.LEASED):
            if self._lives(slot.member):
                self._keep_alive(slot, now)
                return
            if slot.state is SlotState.CREATING:
                self._slots.lost(slot.slot, "the process that was creating it died")
            else:
                self._slots.deleting(slot.slot)
            self._version = -1  # our own writes don't change it; look again at the next step
            return
        task = self._tasks.setdefault(slot.slot, _Task(now, self._durations.first_retry_seconds))
        if task.running is None and now >= task.due and now < slot.expires_at:
            task.running = self._threads.submit(self._work, slot, task)

    def _lives(self, member: str) -> bool:
        try:
            return member == self.member.name or members.is_locked(self._run / "members" / member)
        except FileNotFoundError:
            return False

    def _work(self, slot: Slot, task: _Task) -> None:
        try:
            if slot.state is SlotState.LOST:
                self._find(slot, task)
            else:
                self._delete(slot, task)
        except AGBError as error:
            self._slots.note(slot.slot, f"could not be deleted: {error}")
        finally:
            task.due = self._clock() + task.pause
            task.pause = min(2 * task.pause, self._durations.longest_retry_seconds)
            task.running = None

    def _agb(self) -> AGB | None:
        """A client of the backend; ``None`` if that is a local server that is gone: so are its sessions."""
        settings = self._settings
        endpoint = settings.endpoint if settings.backend == CLOUD else server_process.endpoint(self._run)
        if endpoint is None:
            return None
        if endpoint not in self._clients:
            self._clients[endpoint] = AGB(settings.api_key, endpoint, settings.timeout_seconds)
        return self._clients[endpoint]

    def _delete(self, slot: Slot, task: _Task) -> None:
        assert slot.session_id is not None
        agb = self._agb()
        if agb is None:
            self._done(slot)
            return
        if not task.accepted:
            agb.release(slot.session_id).check()
            task.accepted = True
            task.pause = self._durations.first_retry_seconds
            self._slots.note(slot.slot, "the service is deleting it")
        if agb.is_gone(slot.session_id):
            self._done(slot)

    def _done(self, slot: Slot, note: str = "") -> None:
        self._slots.gone(slot.slot, note=note)
        self._tasks.pop(slot.slot, None)

    def _find(self, slot: Slot, task: _Task) -> None:
        found, trouble = self._look_for(slot)
        if found is not None:
            self._slots.deleting(slot.slot, found)
            task.pause = self._durations.first_retry_seconds
        elif self._clock() - slot.created_at >= self._durations.lost_seconds:
            self._done(slot, f"{slot.note}; {trouble or 'no session with its label has shown up'}")

    def _look_for(self, slot: Slot) -> tuple[str | None, str]:
        """The session that carries the slot's label, if there is one, and what kept us from looking."""
        agb = self._agb()
        try:
            found = next(agb.iter_session_ids(labels={label_rules.SLOT: slot.slot}), None) if agb else None
        except AGBError as error:
            return None, f"looking for it failed: {error}"
        return found, ""

    def _keep_alive(self, slot: Slot, now: float) -> None:
        if slot.session_id is None:
            return
        due = self._kept_alive.setdefault(slot.slot, now) + slot.idle_timeout / 2
        agb = self._agb() if now >= due else None
        if agb is not None:
            self._kept_alive[slot.slot] = now
            # Whether it worked shows in the test that uses the session: there is nothing to do here if not.
            self._threads.submit(Session(agb, slot.session_id).keep_alive)

    def _unfinished(self) -> bool:
        return any(self._clock() < slot.expires_at for slot in self._slots.left())

    def _leave(self) -> bool:
        """Leave the run, and take its directory away if it is not needed; false if somebody has joined."""
        with joining_lock():
            if members.any_alive(self._run / "members", but=self.member.name):
                return False
            nothing_left = not self._slots.left()
            self._threads.shutdown()
            for client in self._clients.values():
                client.close()
            self._slots.close()
            self.member.leave()
            # A local server takes the directory away itself, when it sees that the keeper has left.
            if nothing_left and server_process.endpoint(self._run) is None:
                shutil.rmtree(self._run)
        return True


def ensure(run: Path, settings: Settings, *, linger_seconds: float | None = None) -> None:
    """See to it that the run has a keeper on this host.

    Raises:
        pytest_agb.detach.DetachError: it can't be started.
    """

    def payload() -> dict[str, Any]:
        return {
            "run": str(run),
            "settings": settings.to_wire(),
            "linger_seconds": linger_seconds,
        }

    Background(run, "keeper").ensure(f"{__name__}:main", payload)


def main(payload: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Be the keeper, in a detached process."""
    run = Path(payload["run"])
    place = Background(run, "keeper")
    place.live()
    durations = KeeperSettings()
    if payload["linger_seconds"] is not None:
        durations = replace(durations, linger_seconds=payload["linger_seconds"])
    keeper = Keeper(run, Settings.from_wire(payload["settings"]), durations=durations)
    place.ready({})
    report({})
    keeper.run()
