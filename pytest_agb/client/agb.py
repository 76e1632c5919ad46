"""The way in: creates, finds, lists and deletes sessions."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules
from pytest_agb import real
from pytest_agb.client.api import direct_link, endpoints, messages, responses
from pytest_agb.client.client_settings import ClientSettings
from pytest_agb.client.credentials import resolve
from pytest_agb.client.errors import (
    AGBError,
    AGBTimeoutError,
    AuthenticationError,
    InvalidRequestError,
    NotFoundError,
    PermissionDeniedError,
    ProtocolError,
)
from pytest_agb.client.http.transport import Transport, is_loopback
from pytest_agb.client.params import CreateSessionParams
from pytest_agb.client.results import (
    DeleteResult,
    GetSessionResult,
    SessionListResult,
    SessionStatusResult,
)
from pytest_agb.client.session import Session, SessionResult
from pytest_agb.secret import Secret, refuse_copies

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType
    from typing import Self

    from pytest_agb.client.api.direct_link import DirectLink
    from pytest_agb.client.calls import Observer

#: Session IDs per page where nothing else is asked for (official SDK 0.12.0).
DEFAULT_LIMIT = 10

#: Pages of a listing without a session that no earlier page had, one after the other, before it is taken for
#: one without an end.
_PAGES_WITHOUT_NEWS = 100


class AGB:
    """A client of one AGB account.

    What is not given is read from ``AGB_API_KEY``, ``AGB_ENDPOINT`` and ``AGB_TIMEOUT_MS``, in the
    environment and then in ``.env``. ``timeout`` is in seconds. ``observer`` is told of every call of a tool.
    No request goes out before the first call.

    Raises:
        MissingKeyError: there is no key anywhere.
        ValueError: endpoint, timeout or key can't be used.
    """

    endpoint: str = ""

    def __init__(
        self,
        api_key: str | Secret | None = None,
        endpoint: str | None = None,
        timeout: float | None = None,
        *,
        settings: ClientSettings | None = None,
        observer: Observer | None = None,
        sleep: Callable[[float], None] = real.sleep,
        clock: Callable[[], float] = real.boot_seconds,
        chance: Callable[[], float] = random.random,
    ) -> None:
        given = api_key if isinstance(api_key, Secret) else Secret((api_key or "").strip())
        del api_key  # a failure below must not show it among the local variables
        key, self.endpoint, timeout_seconds = resolve(given, endpoint, timeout)
        self.settings = settings or ClientSettings()
        self.observer = observer
        self._clock = clock
        self._sleep = sleep
        self._transport = Transport(
            key, self.endpoint, timeout_seconds, self.settings, sleep=sleep, chance=chance
        )

    def __repr__(self) -> str:
        return f"<AGB {self.endpoint}>"

    __reduce_ex__ = refuse_copies

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> None:
        """Read certificates and proxies now, before a test changes files or the environment.

        Without it the first call does. Nothing is sent.

        Raises:
            InvalidRequestError: they can't be used.
        """
        self._transport.open()

    def close(self) -> None:
        """Close this process's connections. Sessions stay as they are."""
        self._transport.close()

    # ---- creating and finding ----------------------------------------------------------------------------

    def create(
        self, params: CreateSessionParams, *, reserved_labels: Mapping[str, str] | None = None
    ) -> SessionResult:
        """Create a session. Sent once and never again, since a lost answer may stand for a session.

        ``reserved_labels`` are the plugin's own, which ``params.labels`` may not hold. Where it failed and
        ``error.maybe_executed`` is true, a session may exist: look for it by its labels.
        """
        reserved = dict(reserved_labels or {})
        try:
            if not isinstance(params, CreateSessionParams):
                raise InvalidRequestError(f"params must be CreateSessionParams(image_id=...), not {params!r}")
            problem = params.invalid()
            if not problem and reserved and params.labels:
                problem = label_rules.refused(params.labels, on_ours=True)
            if problem or (reserved and (problem := label_rules.invalid(reserved))):
                raise InvalidRequestError(problem)
            answer = self.send(
                endpoints.create_session(
                    params.image_id,
                    {**(params.labels or {}), **reserved},
                    params.idle_timeout_seconds,
                    params.policy_id,
                )
            )
        except AGBError as error:
            return SessionResult.failed(error)
        data = responses.session_data(answer, "")
        return SessionResult(
            True,
            "",
            answer.request_id,
            session=Session(
                self,
                data.session_id,
                image_id=params.image_id,
                data=data,
                direct_link=self._direct_link(answer),
                reserved_labels=reserved,
            ),
        )

    def get(self, session_id: str) -> SessionResult:
        """Get a :class:`Session` by its ID; fails if it is released."""
        try:
            answer = self.send(endpoints.get_session(_checked_id(session_id)))
        except AGBError as error:
            return SessionResult.failed(error)
        data = responses.session_data(answer, session_id)
        if responses.is_gone(data.status):
            gone = NotFoundError(f"Session {session_id} is released", request_id=answer.request_id)
            return SessionResult.failed(gone)
        session = Session(
            self,
            data.session_id,
            data=data,
            direct_link=self._direct_link(answer),
        )
        return SessionResult(True, "", answer.request_id, session=session)

    def _direct_link(self, answer: messages.Answer) -> DirectLink | None:
        """The direct way to a session's tools, if it is as well guarded as the API itself."""
        found = direct_link.of(answer.fields)
        if found is None or is_loopback(found.url) != is_loopback(self.endpoint):
            return None
        return found if found.url.startswith("https://") or not self.endpoint.startswith("https://") else None

    def get_session(self, session_id: str) -> GetSessionResult:
        """Get a session's attributes as the service gives them."""
        try:
            answer = self.send(endpoints.get_session(_checked_id(session_id)))
        except AGBError as error:
            return GetSessionResult.failed(error, http_status_code=error.http_status or 0, code=error.code)
        data = responses.session_data(answer, session_id)
        return GetSessionResult(
            True, "", answer.request_id, http_status_code=answer.http_status, code=answer.code, data=data
        )

    def get_status(self, session_id: str) -> SessionStatusResult:
        """Get a session's status. This does not keep it alive."""
        try:
            answer = self.send(endpoints.get_status(_checked_id(session_id)))
        except AGBError as error:
            return SessionStatusResult.failed(error, http_status_code=error.http_status or 0, code=error.code)
        return SessionStatusResult(
            True,
            "",
            answer.request_id,
            http_status_code=answer.http_status,
            code=answer.code,
            status=responses.status(answer),
        )

    # ---- listing -----------------------------------------------------------------------------------------

    def list(
        self, labels: Mapping[str, str] | None = None, page: int | None = None, limit: int | None = None
    ) -> SessionListResult:
        """List one page of the active sessions that carry all of ``labels``; pages count from 1.

        A page past the end is empty, and a success. The service has no page numbers: page N costs N requests;
        :meth:`iter_session_ids` costs one a page.
        """
        page, limit = 1 if page is None else page, DEFAULT_LIMIT if limit is None else limit
        try:
            _check_number("page", page)
            token: str | None = None
            tokens: set[str] = set()
            for number in range(1, page + 1):
                answer = self._list_page(labels, limit, token)
                token = responses.next_token(answer)
                if token in tokens:
                    raise ProtocolError("Could not list sessions: the pages go round in a circle")
                tokens.update([token] if token else [])
                past_the_end = token is None and number < page
                if past_the_end:
                    break
        except AGBError as error:
            return SessionListResult.failed(error)
        sessions = [] if past_the_end else responses.listed(answer)
        return SessionListResult(
            True,
            "",
            answer.request_id,
            session_ids=[item.session_id for item in sessions],
            next_token=token,
            max_results=responses.count(answer, "maxResults", limit),
            total_count=responses.count(answer, "count", len(sessions)),
            sessions=sessions,
        )

    def iter_session_ids(self, labels: Mapping[str, str] | None = None, limit: int = 50) -> Iterator[str]:
        """Give the IDs of all active sessions that carry all of ``labels``, ``limit`` per request, each once.

        Raises:
            AGBError: a page can't be had.
        """
        token: str | None = None
        tokens: set[str] = set()
        given: dict[str, None] = {}
        without_news = 0
        while True:
            answer = self._list_page(labels, limit, token)
            new = dict.fromkeys(item.session_id for item in responses.listed(answer))
            new = {name: None for name in new if name not in given}
            given.update(new)
            yield from new
            token = responses.next_token(answer)
            if token is None:
                return
            without_news = 0 if new else without_news + 1
            if token in tokens or without_news >= _PAGES_WITHOUT_NEWS:
                raise ProtocolError("Could not list sessions: the pages go round in a circle")
            tokens.add(token)

    def _list_page(self, labels: Mapping[str, str] | None, limit: int, token: str | None) -> messages.Answer:
        _check_number("limit", limit)
        if labels and (problem := label_rules.invalid(labels)):
            raise InvalidRequestError(problem)
        return self.send(endpoints.list_sessions(labels or {}, limit, token))

    # ---- deleting ----------------------------------------------------------------------------------------

    def delete(self, session: Session, *, timeout_seconds: float | None = None) -> DeleteResult:
        """Delete a session and wait until it is gone; one that is gone already is no failure."""
        limit = self.settings.delete_timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            if not isinstance(session, Session):
                raise InvalidRequestError(f"delete takes a Session, not {session!r}")
            if not self.same_account(session.agb):
                # There, "not found" would mean nothing, and pass for success.
                raise InvalidRequestError(
                    f"{session!r} belongs to another account: delete it through its own AGB"
                )
            if session.released:
                return DeleteResult(True)
            result = self.release(session.session_id)
            if result.success:
                session.mark_released()
                self._wait_until_gone(session.session_id, limit)
        except AGBError as error:
            return DeleteResult.failed(error)
        return result

    def release(self, session_id: str) -> DeleteResult:
        """Ask for a session's end without waiting for it; one that is gone already is no failure."""
        try:
            answer = self.send(endpoints.release(_checked_id(session_id)))
        except NotFoundError as error:
            return DeleteResult(True, "", error.request_id)
        except AGBError as error:
            return DeleteResult.failed(error)
        return DeleteResult(True, "", answer.request_id)

    def is_gone(self, session_id: str) -> bool:
        """Whether a session is over. One that is being deleted is not.

        Raises:
            AGBError: the service does not say.
        """
        try:
            return responses.is_gone(
                responses.status(self.send(endpoints.get_status(_checked_id(session_id))))
            )
        except NotFoundError:
            return True

    def _wait_until_gone(self, session_id: str, timeout_seconds: float) -> None:
        end = self._clock() + timeout_seconds
        wait = self.settings.delete_poll_first_seconds
        trouble: AGBError | None = None
        while True:
            try:
                if self.is_gone(session_id):
                    return
                trouble = None
            except (AuthenticationError, PermissionDeniedError):
                raise
            except AGBError as error:  # the release is accepted; one bad answer later changes nothing
                trouble = error
            if self._clock() + wait > end:
                raise AGBTimeoutError(
                    f"Session {session_id} is still being deleted after {timeout_seconds:g} s"
                    + (f"; the last answer was: {trouble.message}" if trouble else ""),
                    hint="The service accepted the release and may well finish it",
                    maybe_executed=True,
                )
            self._sleep(wait)
            wait = min(wait * 1.6, self.settings.delete_poll_longest_seconds)

    # ---- for the layers around ---------------------------------------------------------------------------

    def same_account(self, other: object) -> bool:
        """Whether ``other`` is a client that calls the same endpoint with the same key."""
        return (
            isinstance(other, AGB)
            and self.endpoint == other.endpoint
            and self._transport.key == other._transport.key
        )

    def send(self, request: messages.Request) -> messages.Answer:
        """Send a request of `pytest_agb.client.api.messages`, and raise an :class:`AGBError` if it fails."""
        return self._transport.send(request)

    def redact(self, text: str) -> str:
        """Blot the API key out of a text."""
        return self._transport.redact(text)


def _checked_id(session_id: object) -> str:
    if not isinstance(session_id, str) or not session_id.strip():
        raise InvalidRequestError(f"session_id must be a session's ID, not {session_id!r}")
    return session_id


def _check_number(name: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError(f"{name} must be a whole number, at least 1, not {value!r}")
