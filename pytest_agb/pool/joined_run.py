"""What belongs to one process of a run: its membership, its view of the run's state, its HTTP client."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from pytest_agb import real
from pytest_agb.client import AGB, AGBError, MissingKeyError
from pytest_agb.run import account, detach, endpoint, keeper_process, local_server, members, run_directory
from pytest_agb.run.one_per_host import OnePerHost, joining_lock
from pytest_agb.store.database import StateError, lay_schema
from pytest_agb.store.state import State, database_path

if TYPE_CHECKING:
    from pytest_agb.client import Observer
    from pytest_agb.settings import Settings


class RunIsOverError(LookupError):
    """The run has no directory here any more."""


class JoinedRun:
    """This process, as a member of the run."""

    def __init__(
        self,
        settings: Settings,
        role: members.Role,
        title: str = "",
        *,
        begin: bool = True,
        observer: Observer | None = None,
    ) -> None:
        """Join the run; the first on this host makes its directory. ``title`` is shown to people.

        ``observer`` is told of the calls in sessions of this process's client.

        Raises:
            RunIsOverError: there is no directory, and ``begin`` is false.
            OSError: the directory can't be had.
            StateError: nor can the state in it.
        """
        self.pid = real.pid()
        self._settings = settings
        self._observer = observer
        self._client: tuple[str, AGB] | None = None
        self._connecting = threading.Lock()
        if reason := run_directory.unfit(settings.run_id, settings.temp_directory):
            raise OSError(reason)
        with joining_lock(settings.temp_directory):
            self._run = run_directory.path(settings.run_id, settings.temp_directory)
            if not begin and not self._run.is_dir():
                raise RunIsOverError(settings.run_id)
            self._run.mkdir(mode=0o700, exist_ok=True)
            self.member = members.Member(self._run / "members", role, title)
        try:
            account.record(self._run, settings)
            if not begin and not database_path(self._run).exists():
                raise StateError(f"the run's state in {database_path(self._run)} was removed")
            lay_schema(database_path(self._run))
            self.state = State(self._run, settings)
        except BaseException:
            self.member.leave()
            raise

    def endpoint(self) -> str:
        """Where the backend is. The local server is started if it is not there, or not there any more.

        Raises:
            AGBError: the local server can't be had.
        """
        try:
            return endpoint.ensure(self._run, self._settings)
        except local_server.LocalServerError as error:
            raise AGBError(str(error)) from error

    def client(self) -> AGB:
        """The one client of this process; with it, the run has a keeper.

        Raises:
            AGBError: there is no key, or the local server or the keeper can't be had.
        """
        with self._connecting:
            if self._settings.api_key is None:
                raise MissingKeyError(
                    "there is no API key",
                    hint="set AGB_API_KEY, or use --agb-backend=local for local sandboxes",
                )
            place = self.endpoint()
            self.ensure_keeper()
            if self._client is not None and self._client[0] != place:
                # A keeper that was started after the old server's end does not know that there was one.
                for slot in self.state.slots.left():
                    self.state.slots.give_up(slot.slot, "the local server has ended")
            if self._client is None or self._client[0] != place:
                agb = AGB(
                    self._settings.api_key,
                    place,
                    self._settings.timeout_seconds,
                    observer=self._observer,
                )
                agb.open()
                self._client = (place, agb)
            return self._client[1]

    @property
    def connected(self) -> bool:
        """Whether `client` has succeeded."""
        return self._client is not None

    def lost(self) -> str:
        """Why this process can't be of this run any more, by no doing of ours; empty if it can."""
        return self.member.lost()

    def ensure_keeper(self) -> None:
        """See to it that somebody creates and deletes.

        Raises:
            StateError: it goes on without the run's state, and serves nobody.
            AGBError: it can't be started, or died too often.
        """
        try:
            keeper_process.ensure(self._run, self._settings)
            from_memory = self.keeper().goes_on_from_memory()
        except (detach.DetachError, OSError) as error:
            raise AGBError(f"no session is created without a keeper to delete it: {error}") from error
        if from_memory:
            log = self.keeper().log_tail()
            raise StateError(
                "the run's keeper can't use the run's state any more: it deletes what there is, and creates "
                "nothing" + (f". Its log ends with: {log}" if log else "")
            )

    def keeper(self) -> OnePerHost:
        """The keeper's place in the run's directory."""
        return keeper_process.place(self._run)

    def leave(self) -> None:
        """Close everything and leave the run, with nothing leased."""
        if not self.lost():  # else what would be written to is perhaps somebody else's file
            with suppress(StateError):  # the keeper sees by itself who has left, and the run's end tells it
                self.state.slots.leave(self.member.name)
        if self._client is not None:
            self._client[1].close()
        self.state.close()
        self.member.leave()
