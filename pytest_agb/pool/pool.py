"""Leasing and giving back the sessions of a run.

Each process of the run has a `Pool` of its own; what they share is the run's directory. The process that asks
for a session creates it; the keeper deletes it.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pytest_agb import detach, rundir
from pytest_agb import labels as label_rules
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
from pytest_agb.pool import earlier
from pytest_agb.pool.process import Process
from pytest_agb.settings import CLOCK_SKEW_SECONDS, MAX_LIFETIME_SECONDS, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


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

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
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
        process.slots.begin(
            slot,
            member=process.member.name,
            image=params.image_id,
            idle_timeout=params.idle_timeout_seconds,
            expires_at=expires_at,
        )
        result = client.create(params, reserved_labels=self._reserved_labels(slot, expires_at))
        if not result.success:
            refusal = result.error or AGBError(result.error_message, request_id=result.request_id)
            self._not_created(process, slot, subject, refusal)
            raise refusal
        process.slots.leased(slot, result.session.session_id)
        return Lease(slot=slot, session=result.session, request_id=result.request_id, pid=os.getpid())

    def release(self, lease: Lease) -> None:
        """Give a session back, for the keeper to delete: a local write, whatever the service does."""
        if lease.pid == os.getpid():
            self._process().slots.deleting(lease.slot)
            lease.session.mark_released()

    def agb(self) -> AGB:
        """A client whose sessions are leased from this pool."""
        process = self._process()
        return RunAGB(self, self._settings, process.endpoint())

    def close(self) -> None:
        """Leave the run; the keeper deletes whatever of this process is left."""
        process = self._own
        if process is not None and process.pid == os.getpid():
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
                    earlier.sweep(self._settings)
                except detach.DetachError as error:
                    raise AGBError(f"sessions of an earlier run can't be deleted: {error}") from error
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
            process.slots.lost(slot, f"the answer to its create was lost: {error.message}")
        else:
            process.slots.gone(slot, note=error.message)
        if isinstance(error, ImageNotFoundError):
            process.slots.remember_refusal(subject, _memory(error))
        elif isinstance(error, AuthenticationError):
            process.slots.remember_refusal("account", _memory(error))


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
