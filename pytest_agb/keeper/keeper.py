"""The keeper's loop: who lives, what is written, what is due; until there is nothing to keep.

All slow work is its own, so that tests wait for none of it longer than they must, and so that sessions are
deleted whatever becomes of pytest: when a member dies its leases are deleted; when no test process lives,
everything is, and then the keeper leaves.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_agb.client import AGB
from pytest_agb.keeper.budget import Budget
from pytest_agb.keeper.janitor import Janitor, JanitorSettings
from pytest_agb.keeper.jobs import Jobs
from pytest_agb.keeper.provisioner import Provisioner
from pytest_agb.run import aside, endpoint, keeper_process, local_server, members, run_directory
from pytest_agb.run.one_per_host import joining_lock
from pytest_agb.run.ownership import Ownership
from pytest_agb.store.lasting_database import LastingDatabase
from pytest_agb.store.state import State, database_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from pytest_agb.settings import Settings


@dataclass(frozen=True)
class KeeperSettings:
    """The keeper's durations and bounds."""

    #: Between two looks at what the members have written.
    poll_seconds: float = 0.01
    #: The same, once no process that runs tests is left.
    quiet_poll_seconds: float = 0.05
    #: Between two looks at who is alive, and at what is due by the clock.
    look_seconds: float = 0.25
    #: To wait for the controller to report, when all is done.
    linger_seconds: float = 5.0
    #: Creates, and other calls, under way at once.
    creates: int = 48
    calls: int = 8
    janitor: JanitorSettings = field(default_factory=JanitorSettings)


class Keeper:
    """One keeper. `step` starts what is due and returns; `run` goes on until there is nothing to keep."""

    def __init__(
        self,
        run: Path,
        settings: Settings,
        *,
        durations: KeeperSettings | None = None,
        beat: Callable[[bool], None] = lambda from_memory: None,
        clock: Callable[[], float] | None = None,
        others: members.Others | None = None,
        executors: tuple[Executor, Executor] | None = None,
        agb: Callable[[], AGB | None] | None = None,
    ) -> None:
        """Become a member of the run in the directory ``run``.

        ``beat`` shows others that it goes on, and whether from memory. What follows that is for
        simulations: of time, other members, threads and the service.
        """
        self._run = run
        self._settings = settings
        self._durations = durations or KeeperSettings()
        self.member = members.Member(run / "members", members.Role.KEEPER)
        self._database = LastingDatabase(database_path(run))
        self._state = State(run, settings, clock=clock, database=self._database)
        self._clock = clock = self._state.clock
        self._beat = beat
        self._clients: dict[str, AGB] = {}
        self._other_members = others or members.Others(run / "members", self.member.name)
        creates, calls = executors or (
            ThreadPoolExecutor(self._durations.creates, thread_name_prefix="create"),
            ThreadPoolExecutor(self._durations.calls, thread_name_prefix="call"),
        )
        self._creates, self._calls = Jobs(creates), Jobs(calls)
        agb = agb or self._agb
        # By the directory's name: of a run that is taken over, the settings are its successor's.
        self.ownership = Ownership(run.name)
        self._provisioner = Provisioner(
            self._state,
            settings,
            self.member.name,
            agb=agb,
            jobs=self._creates,
            ownership=self.ownership,
            clock=clock,
            absent_seconds=self._durations.janitor.absent_seconds,
            adopt_seconds=self._durations.janitor.adopt_seconds,
        )
        self._janitor = Janitor(
            self._state,
            agb=agb,
            lives=self._other_members.lives,
            jobs=self._calls,
            ownership=self.ownership,
            learn=self._provisioner.learn,
            looked=self._provisioner.looked,
            clock=clock,
            settings=self._durations.janitor,
        )
        self._budget = Budget(self._state, settings)
        self._seen: tuple[int, int] | None = None
        self._next_look = 0.0
        self._users = True
        self._server: str | None = None
        self._others = True

    def run(self) -> None:
        """Keep until the run is over and nothing of it is left that can be deleted."""
        finished_at: float | None = None
        while True:
            if not self.step():
                continue
            if self._others or self._unfinished():
                finished_at = None
            else:
                finished_at = finished_at or self._clock()
                reported = keeper_process.is_reported(self._run)
                lingered = self._clock() - finished_at >= self._durations.linger_seconds
                if (reported or lingered or self.member.lost()) and self._leave():
                    return

    def step(self) -> bool:
        """Do what is due; where nothing is, wait a moment and return false."""
        finished = self._creates.finish()
        poll = self._durations.poll_seconds if self._users else self._durations.quiet_poll_seconds
        finished = self._calls.finish(0.0 if finished else poll) or finished
        now = self._clock()
        written = (self._state.database.version(), self._state.database.changes())
        if now < self._next_look and not finished and written == self._seen:
            return False
        self._seen = written
        if now >= self._next_look:
            self._look_who_lives()
            self._next_look = now + self._durations.look_seconds
        slots = self._state.slots.left()
        if not self._database.remember([*slots, *self._state.slots.kept()]):
            slots = self._state.slots.left()
        due = self._janitor.step(slots)
        # Nobody else knows what is in memory only: no test is given a session any more.
        self._provisioner.step(slots, over=not self._users or bool(self._database.lost))
        self._next_look = min(self._next_look, due)
        return True

    def _look_who_lives(self) -> None:
        self._database.look()
        self._beat(bool(self._database.lost))
        # What is at its path by now, if its directory was removed, is none of this keeper's business.
        self._others = not self.member.lost() and self._other_members.any()
        self._users = self._others and self._other_members.any(users_only=True)
        self._look_at_the_server()
        self._budget.look()
        for want in self._state.waiters.waiting():
            if not self._other_members.lives(want.member):
                self._state.waiters.withdraw(want.want)

    def _look_at_the_server(self) -> None:
        """A local server that was replaced took its sessions with it."""
        place = endpoint.find(self._run, self._settings)
        if self._server not in (None, place):
            for slot in self._state.slots.left():
                self._state.slots.give_up(slot.slot, "the local server has ended")
        self._server = place

    def _agb(self) -> AGB | None:
        """A client of the backend; ``None`` if that is a local server that is gone: so are its sessions."""
        settings = self._settings
        place = endpoint.find(self._run, settings)
        if place is None:
            return None
        if place not in self._clients:
            self._clients[place] = AGB(settings.api_key, place, settings.timeout_seconds)
        return self._clients[place]

    def abandon(self) -> None:
        """Close what this process holds, as its death would: nothing of the run is changed."""
        for client in self._clients.values():
            client.close()
        self._state.close()
        self.member.leave()

    def _unfinished(self) -> bool:
        if self._creates.pending or self._calls.pending:
            return True
        return any(self._clock() < slot.expires_at for slot in self._state.slots.left())

    def _leave(self) -> bool:
        """Leave the run, and take its directory away if it is not needed; false if somebody has joined."""
        ended = None
        if self.member.lost():
            self._close()
            return True
        try:
            with joining_lock():
                if self._other_members.any():
                    return False
                keeper_process.place(self._run).leave()
                nothing_left = not self._state.slots.left()
                self._close()
                # A local server takes the directory away itself, when it sees that the keeper has left.
                if nothing_left and local_server.endpoint(self._run) is None:
                    ended = run_directory.retire(self._run)
        except OSError as error:  # it is on a disk that nobody can write to
            with suppress(OSError):
                print(f"pytest-agb: {self._run} can't be taken away: {error}", file=sys.stderr, flush=True)
            return True
        if ended is not None:
            aside.remove(ended)
        return True

    def _close(self) -> None:
        self._creates.close()
        self._calls.close()
        self.abandon()
