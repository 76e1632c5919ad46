"""Finds the sessions that dead runs left behind, from any machine, and deletes them.

Listing and deleting go on at the same time, so pages shift under the listing (the next page may well be told
by an offset) and one pass misses sessions. Passes are repeated until one is *quiet*: nothing was deleted
while it ran and it showed nothing new. That last pass is also the proof that what was deleted is gone.

An ID is remembered, about 100 bytes, so that no session is looked at twice; labels and answers are not.
"""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb.client import (
    AGB,
    AGBError,
    AGBTimeoutError,
    AuthenticationError,
    ClientSettings,
    NotFoundError,
    Session,
    ThrottledError,
    UnavailableError,
)
from pytest_agb.labels import RunLabels
from pytest_agb.sweep.outcome import Action, Event, Expected, Outcome, Settled
from pytest_agb.sweep.rate_limiter import RateLimiter
from pytest_agb.sweep.selection import FoundSession, Selection

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.environment import Account


@dataclass(frozen=True)
class SweepSettings:
    """Every bound and duration of a sweep."""

    #: One HTTP client with 64 connections is 11 times slower than its round trips, 16 with 4 are 1.6 times.
    clients: int = 16
    threads_per_client: int = 4
    #: IDs that wait between the listing and the threads.
    backlog: int = 256
    #: Passes that still show something new, at most.
    passes: int = 100
    #: Tries for one session, each of which the client repeats by itself, and those where it was throttled.
    tries: int = 3
    throttled_tries: int = 10
    #: Tries for one session that shows no labels, which show up late, and the pause before each of them.
    unlabelled_tries: int = 4
    unlabelled_seconds: float = 1.5
    #: The sweep gives up where the service has done nothing for us for this long: it can't be reached ...
    patience_seconds: float = 60.0
    #: ... or it keeps telling us to wait.
    throttled_patience_seconds: float = 300.0
    #: Sessions whose deletion was accepted may be listed for this long.
    drain_seconds: float = 60.0
    poll_seconds: float = 0.5
    #: An interrupted sweep waits this long for calls under way.
    stop_seconds: float = 5.0


def sweep(
    account: Account,
    selection: Selection,
    on_event: Callable[[Event], None] = lambda event: None,
    *,
    delete: bool = True,
    settings: SweepSettings | None = None,
    clock: Callable[[], float] = time.time,
) -> Outcome:
    """Delete the sessions of ``account`` that ``selection`` says should go; only look if not ``delete``.

    A session is deleted only if its own labels, read one by one, carry what the listing was filtered by.
    ``on_event`` is called from several threads, one at a time. An exception, `KeyboardInterrupt` too, ends
    the sweep after the calls under way.

    Raises:
        AGBError: there is no key, it is refused, or the service can't be reached.
    """
    return _Sweep(account, selection, on_event, delete, settings or SweepSettings(), clock).run()


class _UnlabelledError(Exception):
    """A session shows no labels: it is somebody else's, or they are still to come."""


@dataclass
class _Failure:
    reason: str
    tries: int
    #: Set once a deletion was asked for.
    session: FoundSession | None
    #: Whether the session shows no labels.
    unlabelled: bool = False


class _Sweep:
    def __init__(
        self,
        account: Account,
        selection: Selection,
        on_event: Callable[[Event], None],
        delete: bool,
        settings: SweepSettings,
        clock: Callable[[], float],
    ) -> None:
        self._account = account
        self._selection = selection
        self._on_event = on_event
        self._delete = delete
        self._settings = settings
        self._clock = clock
        self._outcome = Outcome()
        self._stop = threading.Event()
        self._rate_limiter = RateLimiter(settings.clients * settings.threads_per_client, self._stop)
        self._queue: queue.Queue[str] = queue.Queue(settings.backlog)
        self._threads: list[threading.Thread] = []
        self._clients: list[AGB] = []
        self._lock = threading.Lock()  # of all below
        self._pending = 0
        self._known: set[str] = set()
        self._released: set[str] = set()
        self._failed: dict[str, _Failure] = {}
        self._expected = 0
        #: Sessions that were listed although their labels are none of the selection's.
        self._foreign = 0
        self._fatal: BaseException | None = None
        self._last_success = time.monotonic()
        self._last_release = time.monotonic()

    # ---- the calling thread: listing ---------------------------------------------------------------------

    def run(self) -> Outcome:
        try:
            lister = self._connect(self._rate_limiter.pause)
            count = lister.list(self._selection.labels, limit=1)
            if count.success:
                self._expected = count.total_count
                self._on_event(Expected(self._expected))
            elif not isinstance(count.error, ThrottledError):
                count.check()
            self._list_until_quiet(lister)
        finally:
            self._stop.set()
            end = time.monotonic() + self._settings.stop_seconds
            for thread in self._threads:
                thread.join(max(0.0, end - time.monotonic()))
            for client in self._clients:
                client.close()
        return self._outcome

    def _list_until_quiet(self, lister: AGB) -> None:
        passes = 0
        while True:
            idle = self._pending == 0
            if idle and self._awaits_labels():
                self._stop.wait(self._settings.unlabelled_seconds)
            submitted, listed = self._list_once(lister)
            if submitted:
                passes += 1
                if passes >= self._settings.passes:
                    self._wait_for_threads()
                    self._outcome.finished = False
                    return self._conclude(set(self._failed) | (listed or set()))
                if self._delete and listed is not None and not self._awaits_labels():
                    continue  # the threads need not run dry for the next look
            self._wait_for_threads()
            if listed is None:
                continue
            quiet = idle and not submitted
            if (quiet and not self._still_draining(listed)) or not (self._delete or self._failed):
                return self._conclude(listed)

    def _list_once(self, lister: AGB) -> tuple[int, set[str] | None]:
        """Hand new sessions to the threads: how many, and which known ones that should be gone are listed.

        ``None`` for the latter where the listing broke off.
        """
        submitted, listed = 0, set[str]()
        try:
            for session_id in lister.iter_session_ids(self._selection.labels):
                with self._lock:
                    self._last_success = time.monotonic()
                    failure = self._failed.get(session_id)
                    if failure is not None or session_id in self._released:
                        listed.add(session_id)
                    new = session_id not in self._known
                    if new:
                        self._known.add(session_id)
                        self._pending += 1
                if new:
                    self._submit(session_id)
                    submitted += 1
                self._raise_if_over()
        except ThrottledError as error:
            if time.monotonic() - self._last_success > self._settings.throttled_patience_seconds:
                raise
            self._rate_limiter.throttled(error.retry_after)
            self._rate_limiter.wait()
            return submitted, None
        return submitted, listed

    def _submit(self, session_id: str) -> None:
        most = self._settings.clients * self._settings.threads_per_client
        if len(self._threads) < most and (not self._threads or not self._queue.empty()):
            if len(self._threads) % self._settings.threads_per_client == 0:
                self._connect(self._rate_limiter.step_aside)
            thread = threading.Thread(target=self._work, args=(self._clients[-1],), daemon=True)
            self._threads.append(thread)
            thread.start()
        while True:
            self._raise_if_over()
            try:
                return self._queue.put(session_id, timeout=0.2)
            except queue.Full:
                continue

    def _connect(self, sleep: Callable[[float], None]) -> AGB:
        client = AGB(
            self._account.api_key,
            self._account.endpoint,
            self._account.timeout_seconds,
            settings=ClientSettings(max_connections=self._settings.threads_per_client),
            sleep=sleep,
        )
        self._clients.append(client)
        return client

    def _wait_for_threads(self) -> None:
        while self._pending:
            self._stop.wait(0.02)
            self._raise_if_over()
        self._raise_if_over()

    def _raise_if_over(self) -> None:
        if self._fatal is not None:
            raise self._fatal

    def _still_draining(self, listed: set[str]) -> bool:
        if not listed & self._released:
            return False
        if time.monotonic() - self._last_release > self._settings.drain_seconds:
            return False
        self._stop.wait(self._settings.poll_seconds)
        return True

    def _conclude(self, listed: set[str]) -> None:
        """Report what should be gone and is among the ``listed``."""
        with self._lock:
            for session_id in sorted(listed):
                failure = self._failed.pop(session_id, None)
                if failure is not None and failure.unlabelled and self._foreign:
                    continue  # the filter let others' sessions through: nothing says that this one is ours
                if failure is not None:
                    session = failure.session or FoundSession(session_id)
                    self._left(session, failure.reason)
                elif session_id in self._released:
                    self._outcome.deleted -= 1
                    self._left(
                        FoundSession(session_id),
                        f"its deletion was accepted, but after {self._settings.drain_seconds:g} s "
                        "it is still listed",
                    )
            for session_id, failure in self._failed.items():  # failed, and gone all the same
                if failure.session is not None:
                    self._deleted(session_id, failure.session)

    # ---- the threads: deciding and deleting --------------------------------------------------------------

    def _work(self, client: AGB) -> None:
        while not self._stop.is_set():
            try:
                session_id = self._queue.get(timeout=0.2)
            except queue.Empty:
                continue
            try:
                with self._rate_limiter:
                    if not self._stop.is_set():
                        self._settle(client, session_id)
            except BaseException as error:  # whatever it is, the calling thread raises it
                self._fatal = self._fatal or error
                self._stop.set()
            finally:
                with self._lock:
                    self._pending -= 1

    def _settle(self, client: AGB, session_id: str) -> None:
        session = None
        try:
            labels = Session(client, session_id).get_labels(include_reserved=True).check().data
            if not labels:
                raise _UnlabelledError
            if not self._selection.labels.items() <= labels.items():
                self._not_selected(session_id)
                return
            session = FoundSession(session_id, RunLabels.read(labels))
            stay = self._selection.reason_to_keep(session, self._clock())
            if stay is None and self._delete:
                client.release(session_id).check()
            with self._lock:
                self._last_success = time.monotonic()
                self._failed.pop(session_id, None)
                if stay is not None:
                    self._outcome.kept += 1
                    self._on_event(Settled(Action.KEPT, session, stay.reason, stay.undecided))
                elif not self._delete:
                    self._outcome.would_delete += 1
                    self._on_event(Settled(Action.WOULD_DELETE, session))
                else:
                    self._deleted(session_id, session)
        except NotFoundError:  # it ended by itself, or by a deletion whose answer was lost
            with self._lock:
                failure = self._failed.pop(session_id, None)
                if failure is not None and failure.session is not None:
                    self._deleted(session_id, failure.session)
        except _UnlabelledError:
            self._ask_again(
                session_id, "it shows no labels", self._settings.unlabelled_tries, unlabelled=True
            )
        except AGBError as error:
            self._note_failure(session_id, session, error)

    def _not_selected(self, session_id: str) -> None:
        """The listing was wrong: a session is not ours, or not of the run that was named."""
        with self._lock:
            self._failed.pop(session_id, None)
            self._foreign += 1
            self._expected = max(0, self._expected - 1)
            self._on_event(Expected(self._expected))

    def _note_failure(self, session_id: str, session: FoundSession | None, error: AGBError) -> None:
        if isinstance(error, AuthenticationError):
            raise error  # no other session will do better
        throttled = isinstance(error, ThrottledError)
        unreachable = isinstance(error, (UnavailableError, AGBTimeoutError))
        patience = self._settings.throttled_patience_seconds if throttled else self._settings.patience_seconds
        if (throttled or unreachable) and time.monotonic() - self._last_success > patience:
            raise error
        tries = self._settings.throttled_tries if throttled else self._settings.tries
        self._ask_again(session_id, str(error), tries, session)
        if throttled:
            self._rate_limiter.throttled(error.retry_after)

    def _ask_again(
        self,
        session_id: str,
        reason: str,
        most: int,
        session: FoundSession | None = None,
        *,
        unlabelled: bool = False,
    ) -> None:
        """Have the next pass take a session up again, unless it was tried as often as it may be."""
        with self._lock:
            earlier = self._failed.get(session_id)
            tries = earlier.tries + 1 if earlier else 1
            session = session or (earlier.session if earlier else None)
            self._failed[session_id] = _Failure(reason, tries, session, unlabelled)
            if tries < most:
                self._known.discard(session_id)

    def _awaits_labels(self) -> bool:
        """Whether there are sessions that are to be asked for their labels again."""
        with self._lock:
            return any(
                failure.unlabelled and name not in self._known for name, failure in self._failed.items()
            )

    # ---- with the lock held ------------------------------------------------------------------------------

    def _deleted(self, session_id: str, session: FoundSession) -> None:
        self._released.add(session_id)
        self._last_release = time.monotonic()
        self._outcome.deleted += 1
        self._on_event(Settled(Action.DELETED, session))

    def _left(self, session: FoundSession, reason: str) -> None:
        self._outcome.left[session.session_id] = reason
        self._on_event(Settled(Action.LEFT, session, reason))
