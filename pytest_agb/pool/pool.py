"""Leasing and giving back the sessions of a run.

Each process of the run has a `Pool` of its own; what they share is the run's directory. The process that
needs a session claims one or waits for one; the keeper creates and deletes.
"""

from __future__ import annotations

import functools
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules
from pytest_agb import real
from pytest_agb.client import AGB, AGBError, CreateSessionParams, InvalidRequestError
from pytest_agb.dossier.journal import Journal, SessionFacts
from pytest_agb.labels import RunLabels
from pytest_agb.pool.acquire import Acquisition
from pytest_agb.pool.joined_run import JoinedRun
from pytest_agb.pool.labelled_client import LabelledAGB
from pytest_agb.pool.lease import Lease
from pytest_agb.pool.watched_session import WatchedSession
from pytest_agb.run.members import Role
from pytest_agb.secret import Secret, refuse_copies
from pytest_agb.store import session_spec
from pytest_agb.store.database import StateError
from pytest_agb.store.slots import IllegalTransitionError
from pytest_agb.wall_clock import wall_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pytest_agb.settings import Settings
    from pytest_agb.store.slots import Slot

#: A reused session that has not answered for so many seconds is asked whether it is there.
_TRUSTED_SECONDS = 10.0


class Pool:
    """The sessions of a run, as one process of it sees them."""

    def __init__(self, settings: Settings, *, title: str = "") -> None:
        """``title`` names this process to people who wait for what it holds."""
        self._settings = settings
        self._title = title
        #: What this process does with its sessions, for the test that runs now.
        self.journal = Journal(settings.run_id, settings.api_key or Secret(""))
        self._own: JoinedRun | None = None
        self._joining = threading.Lock()
        #: What went wrong in `join`.
        self._failed: AGBError | None = None

    __reduce_ex__ = refuse_copies

    def join(self) -> None:
        """Join the run and have a keeper and a client, all but a session.

        What goes wrong is raised where somebody asks for what takes that, once: the next may have more luck.
        """
        try:
            self._process().client()
        except AGBError as error:
            self._failed = error

    @property
    def joined(self) -> bool:
        """Whether this process has joined the run, with a keeper and a client."""
        return self._own is not None and self._own.connected

    def _raise_kept(self) -> None:
        failed, self._failed = self._failed, None
        if failed is not None:
            raise failed

    def acquire(
        self,
        params: CreateSessionParams,
        *,
        user: str = "",
        unit: str = "",
        on_wait: Callable[[float, str, bool], None] = lambda seconds, why, alarming: None,
    ) -> Lease:
        """Lease a session made by ``params``, labelled so that it can be found whatever happens.

        Args:
            params: What it is to be like.
            user: What it is for, a test's node ID: shown to others who wait.
            unit: Which of the units to come this is, see `expect`.
            on_wait: Called now and then while there is none, with the seconds so far, what it waits for, and
                whether people should learn of that at once.

        Raises:
            AGBError: it can't be had. A wrong key and an unknown image are remembered for the whole run.
        """
        began = real.boot_seconds()
        try:
            lease = self._acquire(params, user, unit, on_wait)
        except AGBError as error:
            self.journal.could_not_lease(error, real.boot_seconds() - began)
            raise
        self.journal.leased(
            SessionFacts(
                lease.session.session_id,
                image=params.image_id,
                labels=params.labels or {},
                created_at=wall_seconds() - self.age_seconds(lease),
                uses=lease.uses,
                waited=real.boot_seconds() - began,
            )
        )
        return lease

    def _acquire(
        self, params: CreateSessionParams, user: str, unit: str, on_wait: Callable[[float, str, bool], None]
    ) -> Lease:
        refused = params.invalid() or label_rules.refused(params.labels or {}, on_ours=True)
        if refused:
            raise InvalidRequestError(f"no session can be created: {refused}")
        self._raise_kept()
        process = self._process()
        wanted = session_spec.write(params)
        while True:
            waiting = Acquisition(process, self._settings, wanted, on_wait)
            slot = waiting.run(user=user, unit=unit)
            lease = self._lease(process, slot, params)
            if slot.uses == 1 or self._answers(process, slot, lease):
                return lease

    def release(self, lease: Lease, *, reusable: bool = False) -> None:
        """Give a session back: a local write, whatever the service does.

        The keeper deletes it unless it is ``reusable``, has uses left and was not deleted meanwhile. What has
        ended stays so: whoever replaces a lease gives it back before asking for the next, which may take its
        place then, and need not know later which of the two failed.

        Raises:
            AGBError: it was deleted while it was leased, or the run's state can't be written. The lease has
                ended nevertheless.
        """
        if not lease.to_end:
            return
        used_up = self._settings.max_uses is not None and lease.uses >= self._settings.max_uses
        with _ending(lease):
            slots = self._process().state.slots
            if reusable and not used_up and not lease.session.released:
                slots.returned(lease.slot)
            else:
                self.journal.gives_up(lease.session.session_id)
                slots.deleting(lease.slot)

    def keep(self, lease: Lease, test: str) -> None:
        """Leave a session to the user, for the sake of ``test``: a local write, as `release` is."""
        if not lease.to_end:
            return
        self.journal.gives_up(lease.session.session_id)
        with _ending(lease):
            self._process().state.slots.keep(lease.slot, test)

    def kept(self) -> list[tuple[str, str]]:
        """The sessions that are kept on this host, each with what for; none where the state can't be read."""
        with suppress(StateError):  # which the end of the run tells
            if own := self._member():
                return [(slot.session_id or "", slot.why_kept()) for slot in own.state.slots.kept()]
        return []

    def age_seconds(self, lease: Lease) -> float:
        """How old a lease's session is, at the most."""
        return self._process().state.clock() - lease.created_at

    def why_dead(self, lease: Lease) -> str:
        """Why a lease's session can't be used any more, by its own calls or the keeper's; empty if it can."""
        own = self._joined()
        if own is None or not lease.to_end:
            return ""
        with suppress(StateError):  # who gives it back is told
            return own.lost() or own.state.slots.why_dead(lease.slot)
        return ""

    def _died(self, slot: str, session_id: str, why: str) -> None:
        self.journal.died(session_id, why)
        with suppress(
            StateError
        ):  # whoever made the call has an error, and who asks next is told of this one
            if own := self._member():
                own.state.slots.died(slot, why)

    def agb(self) -> AGB:
        """A client whose sessions are leased from this pool.

        Raises:
            AGBError: the local server can't be had, or `join` failed.
        """
        self._raise_kept()
        return LabelledAGB(
            self._settings,
            self._process().endpoint(),
            observer=self.journal,
            acquire=lambda params: self.acquire(params, user="agb.create"),
            release=self.release,
        )

    # ---- the tests to come -------------------------------------------------------------------------------

    def expect(self, params: CreateSessionParams, units: Iterable[tuple[str, int]]) -> None:
        """Expect that each of ``units`` will ask for a session like this; see `Upcoming`."""
        self._process().state.upcoming.expect(session_spec.write(params), units)

    def soon(self, unit: str) -> None:
        """This process will come to ``unit`` next. Nobody need know once it has left the run."""
        with suppress(StateError):  # a hint; whoever asks for a session is told
            if own := self._member():
                own.state.upcoming.soon(unit)

    def done(self, unit: str) -> None:
        """Nobody will ask for a session for ``unit`` any more."""
        with suppress(StateError):  # as above
            if own := self._member():
                own.state.upcoming.done(unit)

    # ---- this process ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Leave the run; the keeper deletes whatever of this process is left."""
        own = self._joined()
        if own is not None:
            own.leave()
            self._own = None

    def _joined(self) -> JoinedRun | None:
        """What belongs to this process, if it has joined the run."""
        return self._own if self._own is not None and self._own.pid == real.pid() else None

    def _member(self) -> JoinedRun | None:
        """The same, if a test has not taken it from us."""
        own = self._joined()
        return None if own is None or own.lost() else own

    def _process(self) -> JoinedRun:
        """What belongs to this process: a fork opens its own.

        Raises:
            AGBError: the run's directory can't be had; or a test has taken from us what it takes. That
                is raised once: whoever asks next joins again.
        """
        with self._joining:
            own = self._joined()
            if own is not None and (lost := own.lost()):
                self._own = None
                own.leave()
                raise AGBError(
                    f"the sessions of this process are lost: {lost}",
                    hint="The run deletes them, and the next test that asks has a new one",
                )
            if own is None:
                try:
                    own = self._own = JoinedRun(
                        self._settings, Role.PYTEST, self._title, observer=self.journal
                    )
                except OSError as error:
                    raise AGBError(f"the run has no directory on this host: {error}") from error
            return own

    def _lease(self, process: JoinedRun, slot: Slot, params: CreateSessionParams) -> Lease:
        assert slot.session_id is not None
        created, expires = slot.created_at + slot.ahead, slot.expires_at + slot.ahead
        labels = RunLabels.of_slot(self._settings, slot.slot, created, expires)
        session = WatchedSession(
            process.client(),
            slot.session_id,
            image_id=params.image_id,
            reserved_labels=labels.write(),
            on_death=functools.partial(self._died, slot.slot, slot.session_id),
        )
        return Lease(
            slot=slot.slot,
            session=session,
            request_id=slot.request_id,
            fresh=slot.uses == 1,
            created_at=slot.created_at,
            uses=slot.uses,
            params=params,
        )

    def _answers(self, process: JoinedRun, slot: Slot, lease: Lease) -> bool:
        """Whether a reused session is there; if it is not, it is given up."""
        if process.state.clock() - slot.answered_at <= _TRUSTED_SECONDS:
            return True
        alive = lease.session.keep_alive()
        if alive.success:
            process.state.slots.answered(slot.slot)
            return True
        self.release(lease)
        return False


@contextmanager
def _ending(lease: Lease) -> Iterator[None]:
    """End a lease, and say what it means where it has ended before."""
    try:
        yield
    except IllegalTransitionError as error:
        raise AGBError(
            f"session {lease.session.session_id} was deleted while it was leased: "
            "this process was taken for dead",
            hint="something in it has opened the plugin's own files in the temp directory, "
            "which ends its lock there",
        ) from error
    finally:
        lease.ended = True
        lease.session.mark_released()
