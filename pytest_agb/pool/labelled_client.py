"""The client that the fixture ``agb`` gives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pytest_agb.client import AGB, AGBError, CreateSessionParams, DeleteResult, Session, SessionResult

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pytest_agb.client import Observer
    from pytest_agb.pool.lease import Lease
    from pytest_agb.settings import Settings


class LabelledAGB(AGB):
    """A client whose sessions carry the run's labels and are deleted at the end of the run, if not before."""

    def __init__(
        self,
        settings: Settings,
        endpoint: str,
        *,
        observer: Observer,
        acquire: Callable[[CreateSessionParams], Lease],
        release: Callable[[Lease], None],
    ) -> None:
        """``acquire`` and ``release`` are the pool's. The former raises an :class:`AGBError` if it fails.

        Raises:
            InvalidRequestError: the environment's certificates or proxies can't be used.
        """
        super().__init__(settings.api_key, endpoint, settings.timeout_seconds, observer=observer)
        self._acquire = acquire
        self._release = release
        self._labels = settings.labels
        self._leases: dict[str, Lease] = {}
        self.open()  # the fixtures that follow may hide files or change the environment

    def create(
        self, params: CreateSessionParams, *, reserved_labels: Mapping[str, str] | None = None
    ) -> SessionResult:
        """Create a session through the run's pool."""
        if not isinstance(params, CreateSessionParams) or params.invalid():
            return super().create(params)  # which says what is wrong, and sends nothing
        try:
            lease = self._acquire(replace(params, labels={**self._labels, **(params.labels or {})}))
        except AGBError as error:
            return SessionResult.failed(error)
        self._leases[lease.session.session_id] = lease
        return SessionResult(success=True, request_id=lease.request_id, session=lease.session)

    def delete(self, session: Session, *, timeout_seconds: float | None = None) -> DeleteResult:
        """Delete a session and wait until it is gone; its place in the pool is free then."""
        result = super().delete(session, timeout_seconds=timeout_seconds)
        if result.success and session.session_id in self._leases:
            self._release(self._leases.pop(session.session_id))
        return result
