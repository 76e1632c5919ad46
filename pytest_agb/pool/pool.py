"""Leasing and giving back the sessions of a run.

Each process of the run has a `Pool` of its own; what they share is the run's directory. For now the process
that asks creates and deletes by itself.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules
from pytest_agb import rundir
from pytest_agb.client import (
    AGB,
    AGBError,
    AuthenticationError,
    CreateSessionParams,
    ImageNotFoundError,
    InvalidRequestError,
    Session,
    SessionResult,
)
from pytest_agb.pool.process import Process
from pytest_agb.pool.slots import SlotState
from pytest_agb.settings import CLOCK_SKEW_SECONDS, MAX_LIFETIME_SECONDS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds to wait at the end of a run for the service to finish deletions that it has accepted.
DRAIN_SECONDS = 60.0
#: Seconds to look for the session of a create whose answer was lost: labels were seen to show up 5 s late
#: (python/tests/integration/test_agb_list_integration.py of the official SDK).
LOST_SECONDS = 10.0
#: Seconds between two looks at what is still there.
_POLL_SECONDS = 0.5


class LostCreateWarning(UserWarning):
    """A create may have made a session that nobody knows of."""


@dataclass(frozen=True)
class Lease:
    """The exclusive use of a session, from `Pool.acquire` to `Pool.release`."""

    slot: str
    session: Session
    #: Of the create.
    request_id: str
    #: The process that leased it; a forked child never gives back its parent's.
    pid: int


class Pool:
    """The sessions of a run, as one process of it sees them."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        drain_seconds: float = DRAIN_SECONDS,
        lost_seconds: float = LOST_SECONDS,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._sleep = sleep
        self._drain_seconds = drain_seconds
        self._lost_seconds = lost_seconds
        self._own: Process | None = None
        self._joining = threading.Lock()

    def acquire(self, params: CreateSessionParams) -> Lease:
        """Lease a new session made by ``params``, labelled so that it can be found whatever happens.

        Raises:
            AGBError: it can't be had. A wrong key and an unknown image are remembered for the whole run.
        """
        refused = params.invalid() or label_rules.refused(params.labels or {}, on_ours=True)
        if refused:
            raise InvalidRequestError(f"no session can be created: {refused}")
        process = self._process()
        subject = f"image:{params.image_id}"
        remembered = process.slots.refusal("account", subject)
        if remembered is not None:
            raise _recall(remembered)
        try:
            client = process.client()
        except AGBError as error:
            process.slots.remember_refusal("account", _memory(error))
            raise
        slot = secrets.token_hex(8)
        expires_at = int(self._clock()) + MAX_LIFETIME_SECONDS + CLOCK_SKEW_SECONDS
        process.slots.begin(slot, member=process.member.name, image=params.image_id, expires_at=expires_at)
        result = client.create(params, reserved_labels=self._reserved_labels(slot, expires_at))
        if not result.success:
            refusal = result.error or AGBError(result.error_message, request_id=result.request_id)
            self._not_created(process, slot, subject, refusal)
            raise refusal
        process.slots.leased(slot, result.session.session_id)
        return Lease(slot=slot, session=result.session, request_id=result.request_id, pid=os.getpid())

    def release(self, lease: Lease) -> None:
        """Give a session back, to be deleted. What fails is tried again, and reported, by `close`."""
        if lease.pid == os.getpid():
            process = self._process()
            process.slots.deleting(lease.slot)
            lease.session.mark_released()
            self._delete(process, lease.slot, lease.session.session_id)

    def agb(self) -> AGB:
        """A client whose sessions are leased from this pool."""
        process = self._process()
        return RunAGB(self, self._settings, process.endpoint())

    def close(self) -> list[str]:
        """Delete what is left of this process, and of processes that died, and leave the run.

        Returns:
            A line for each session that could not be deleted.
        """
        process = self._own
        if process is None or process.pid != os.getpid():
            return []
        try:
            return self._drain(process)
        finally:
            process.leave()
            self._own = None

    def _process(self) -> Process:
        """What belongs to this process: a fork opens its own.

        Raises:
            AGBError: the run's directory can't be had.
        """
        with self._joining:
            if self._own is None or self._own.pid != os.getpid():
                try:
                    self._own = Process(self._settings)
                except rundir.RunDirectoryError as error:
                    raise AGBError(str(error)) from error
            return self._own

    def _reserved_labels(self, slot: str, expires_at: int) -> Mapping[str, str]:
        reserved = {
            label_rules.CREATED_BY: label_rules.CREATED_BY_US,
            label_rules.RUN: self._settings.run_id,
            label_rules.SLOT: slot,
            label_rules.EXPIRES: str(expires_at),
        }
        if self._settings.ci_run:
            reserved[label_rules.CI_RUN] = self._settings.ci_run
        return reserved

    def _not_created(self, process: Process, slot: str, subject: str, error: AGBError) -> None:
        """Record how far a create got, and what need not be asked again in this run."""
        if error.maybe_executed:
            process.slots.note(slot, f"the answer to its create was lost: {error.message}")
        else:
            process.slots.gone(slot, note=error.message)
        if isinstance(error, ImageNotFoundError):
            process.slots.remember_refusal(subject, _memory(error))
        elif isinstance(error, AuthenticationError):
            process.slots.remember_refusal("account", _memory(error))

    def _delete(self, process: Process, slot: str, session_id: str) -> None:
        """Ask the service to delete; what it accepts is seen through at the end of the run."""
        try:
            error = process.client().release(session_id).error
        except AGBError as unreachable:
            error = unreachable
        process.slots.note(slot, f"could not be deleted: {error}" if error else _ACCEPTED)

    def _drain(self, process: Process) -> list[str]:
        for slot in process.orphaned_slots():
            if slot.state is not SlotState.CREATING and slot.note != _ACCEPTED and slot.session_id:
                process.slots.deleting(slot.slot)
                self._delete(process, slot.slot, slot.session_id)
        self._settle_lost(process)
        self._wait_until_gone(process)
        return [
            f"AGB session {slot.session_id} may be left behind: {slot.note or slot.state.value}. "
            f"The service releases it after {self._settings.idle_timeout} s without a call."
            for slot in process.orphaned_slots()
        ]

    def _settle_lost(self, process: Process) -> None:
        """Look for the sessions of creates whose answers never came; their labels may show up late."""
        deadline = self._clock() + self._lost_seconds
        while lost := [slot for slot in process.orphaned_slots() if slot.state is SlotState.CREATING]:
            try:
                for slot in lost:
                    for session_id in process.client().iter_session_ids(labels={label_rules.SLOT: slot.slot}):
                        process.slots.deleting(slot.slot, session_id)
                        self._delete(process, slot.slot, session_id)
                reason = "no session with their labels has shown up"
            except AGBError as error:
                reason = f"looking for them failed: {error}"
            if reason.startswith("looking") or self._clock() >= deadline:
                self._give_up_lost(process, reason)
                return
            if any(slot.state is SlotState.CREATING for slot in process.orphaned_slots()):
                self._sleep(_POLL_SECONDS)

    def _give_up_lost(self, process: Process, reason: str) -> None:
        lost = [slot for slot in process.orphaned_slots() if slot.state is SlotState.CREATING]
        if not lost:
            return
        warnings.warn(
            f"{len(lost)} creates had no answer that says whether there is a session, and {reason}. "
            f"If there is one, the service releases it after {self._settings.idle_timeout} s without a call. "
            f"Its agb_slot label: {', '.join(slot.slot for slot in lost)}",
            LostCreateWarning,
            stacklevel=2,
        )
        for slot in lost:
            process.slots.gone(slot.slot, note=reason)

    def _wait_until_gone(self, process: Process) -> None:
        """List the run's sessions until none is left whose deletion was accepted."""
        deadline = self._clock() + self._drain_seconds
        while True:
            accepted = [slot for slot in process.orphaned_slots() if slot.note == _ACCEPTED]
            if not accepted:
                return
            try:
                listed = set(
                    process.client().iter_session_ids(labels={label_rules.RUN: self._settings.run_id})
                )
            except AGBError as error:
                for slot in accepted:
                    process.slots.note(
                        slot.slot, f"its deletion was accepted, but can't be verified: {error}"
                    )
                return
            for slot in accepted:
                if slot.session_id not in listed:
                    process.slots.gone(slot.slot)
            if self._clock() >= deadline:
                return
            if any(slot.session_id in listed for slot in accepted):
                self._sleep(_POLL_SECONDS)


class RunAGB(AGB):
    """A client whose sessions carry the run's labels and are deleted at the end of the run, if not before."""

    def __init__(self, pool: Pool, settings: Settings, endpoint: str) -> None:
        super().__init__(settings.api_key, endpoint, settings.timeout_seconds)
        self._pool = pool
        self._labels = settings.labels

    def create(
        self, params: CreateSessionParams, *, reserved_labels: Mapping[str, str] | None = None
    ) -> SessionResult:
        """Create a session through the run's pool."""
        if not isinstance(params, CreateSessionParams) or params.invalid():
            return super().create(params)  # which says what is wrong, and sends nothing
        try:
            lease = self._pool.acquire(replace(params, labels={**self._labels, **(params.labels or {})}))
        except AGBError as error:
            return SessionResult.failed(error)
        return SessionResult(success=True, request_id=lease.request_id, session=lease.session)


_ACCEPTED = "deletion accepted"


def _memory(error: AGBError) -> str:
    return json.dumps(
        {"kind": type(error).__name__, "message": error.message, "request_id": error.request_id}
    )


def _recall(memory: str) -> AGBError:
    known = {kind.__name__: kind for kind in (AuthenticationError, ImageNotFoundError)}
    values = json.loads(memory)
    kind = known.get(values["kind"], AGBError)
    return kind(
        f"{values['message']} (the answer to an earlier test of this run)", request_id=values["request_id"]
    )
