"""What a session needs of its client: by it neither `agb` nor `session` has to import the other for types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pytest_agb.client.api.messages import Answer, Request
    from pytest_agb.client.calls import Observer
    from pytest_agb.client.client_settings import ClientSettings
    from pytest_agb.client.results import DeleteResult, SessionStatusResult


class Client(Protocol):
    """The account that a session lives in; :class:`~pytest_agb.client.agb.AGB` is one."""

    endpoint: str
    settings: ClientSettings
    #: Is told of every call in the sessions.
    observer: Observer | None

    def send(self, request: Request) -> Answer:
        """Send a request, and raise an :class:`~pytest_agb.client.errors.AGBError` if it fails."""

    def redact(self, text: str) -> str:
        """Blot the API key out of a text."""

    def get_status(self, session_id: str) -> SessionStatusResult:
        """Get a session's status."""

    def delete(self, session: Any) -> DeleteResult:
        """Delete a session (a :class:`~pytest_agb.client.session.Session`) and wait until it is gone."""
