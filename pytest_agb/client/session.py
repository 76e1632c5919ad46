"""One session: its modules, labels, details and end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pytest_agb import labels as label_rules
from pytest_agb.client.api import endpoints, json_values, messages, responses
from pytest_agb.client.errors import (
    AGBError,
    AGBTimeoutError,
    ImageNotFoundError,
    InvalidRequestError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    SessionGoneError,
    ToolError,
    UnansweredError,
)
from pytest_agb.client.results import (
    DeleteResult,
    GetSessionData,
    McpToolResult,
    McpToolsResult,
    OperationResult,
    Result,
    SessionMetricsResult,
    SessionStatusResult,
)
from pytest_agb.client.tools.caller import ToolCaller
from pytest_agb.client.tools.code import Code
from pytest_agb.client.tools.command import Command
from pytest_agb.client.tools.file_system import FileSystem
from pytest_agb.secret import refuse_copies

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from pytest_agb.client.api.direct_link import DirectLink
    from pytest_agb.client.calls import Call
    from pytest_agb.client.protocol import Client

#: Whose "not found" is the session's, rather than that of a port, an image or labels that show up late.
_TELLING = frozenset(
    {"/mcp", "/mcp/getSession", "/mcp/getMcpResource", "/mcp/getSessionInfo", "/mcp/refreshSessionIdleTime"}
)


class Session:
    """A sandbox of the AGB cloud. As a context manager it deletes itself at the end.

    ``data`` is what the service said of it; it is asked for when it is first needed, if it is not known.
    ``direct_link`` is the direct way to its tools, where the service has named one.
    ``reserved_labels`` are the plugin's labels that this session is known to carry; ``None`` means that
    they are not known, and are looked up before labels are set.
    """

    def __init__(
        self,
        agb: Client,
        session_id: str,
        *,
        image_id: str = "",
        data: GetSessionData | None = None,
        direct_link: DirectLink | None = None,
        reserved_labels: Mapping[str, str] | None = None,
    ) -> None:
        self.agb = agb
        self.session_id = session_id
        self.image_id = image_id
        self._data = data
        self.direct_link = direct_link
        self._reserved = None if reserved_labels is None else dict(reserved_labels)
        self._released = False
        self._tools = ToolCaller(self)
        self.code = Code(self._tools)
        self.command = Command(self._tools)
        self.file_system = self.file = FileSystem(self._tools)

    def __repr__(
        self,
    ) -> str:  # resource_url is left out: its auth code opens the session to whoever reads it
        released = ", released" if self._released else ""
        return f"<Session {self.session_id}, image {self.image_id or 'unknown'}{released}>"

    __reduce_ex__ = refuse_copies

    @property
    def resource_url(self) -> str:
        """Where the session can be looked at.

        Raises:
            AGBError: it is not known yet, and the session has ended or the service can't be reached.
        """
        return self._attributes().resource_url

    @property
    def resource_id(self) -> str:
        """The service's own identifier. Raises as `resource_url` does."""
        return self._attributes().resource_id

    @property
    def app_instance_id(self) -> str:
        """The service's own identifier. Raises as `resource_url` does."""
        return self._attributes().app_instance_id

    def _attributes(self) -> GetSessionData:
        if self._data is None:
            self._data = responses.session_data(
                self.send(endpoints.get_session(self.session_id)), self.session_id
            )
        return self._data

    def become(self, other: Session) -> None:
        """Be ``other`` from now on, for all who hold this object."""
        self.agb = other.agb
        self.session_id = other.session_id
        self.image_id = other.image_id
        self._data = other._data
        self.direct_link = other.direct_link
        self._reserved = other._reserved
        self._released = other._released

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        result = self.delete()
        if error is None:  # an error under way says more than a failed delete
            result.check()

    # ---- labels ------------------------------------------------------------------------------------------

    def set_labels(self, labels: Mapping[str, str]) -> OperationResult:
        """Replace the user's labels; the plugin's stay as they are."""
        try:
            if problem := label_rules.invalid(labels):
                raise InvalidRequestError(problem)
            if problem := label_rules.refused(labels):
                raise InvalidRequestError(problem)
            reserved = self._known_reserved()
            if problem := label_rules.refused(labels, on_ours=label_rules.CREATED_BY in reserved):
                raise InvalidRequestError(problem)
            answer = self.send(endpoints.set_labels(self.session_id, {**labels, **reserved}))
        except AGBError as error:
            return OperationResult.failed(error)
        return OperationResult(True, "", answer.request_id, data=True)

    def get_labels(self, *, include_reserved: bool = False) -> OperationResult:
        """Get the user's labels as ``data``, with those of the plugin if asked for."""
        try:
            labels, request_id = self._all_labels()
        except AGBError as error:
            return OperationResult.failed(error)
        if not include_reserved:
            ours = label_rules.reserved_part(labels)
            labels = {key: value for key, value in labels.items() if key not in ours}
        return OperationResult(True, "", request_id, data=labels)

    def _known_reserved(self) -> dict[str, str]:
        if self._reserved is None:
            labels, _ = self._all_labels()
            return label_rules.reserved_part(labels)
        return self._reserved

    def _all_labels(self) -> tuple[dict[str, str], str]:
        answer = self.send(endpoints.get_labels(self.session_id))
        return responses.labels(self.session_id, answer), answer.request_id

    # ---- state -------------------------------------------------------------------------------------------

    def info(self) -> OperationResult:
        """Get the session's details as a dictionary in ``data``; fails once the session is released."""
        try:
            answer = self.send(endpoints.get_info(self.session_id))
        except AGBError as error:
            return OperationResult.failed(error)
        return OperationResult(True, "", answer.request_id, data=responses.info(answer))

    def get_status(self) -> SessionStatusResult:
        """Get the session's status. This does not keep it alive."""
        try:
            self._require_alive()
        except AGBError as error:
            return SessionStatusResult.failed(error, code=error.code)
        result = self.agb.get_status(self.session_id)
        return (
            result if result.error is None else replace(result, error=_of_session(result.error, telling=True))
        )

    def get_token(self) -> str:
        """Get the session's token, which opens its page at `resource_url` and its direct links: a secret.

        It is asked for each time, so that no session holds it; that counts as use of the session.

        Raises:
            AGBError: the session has ended, or the service gives it no token.
        """
        answer = self.send(endpoints.get_session(self.session_id))
        token = json_values.text_of(answer.fields.get("token") or answer.fields.get("Token"))
        if not token:
            raise RefusedError(
                f"The service gives session {self.session_id} no token", request_id=answer.request_id
            )
        if self.agb.observer is not None:
            self.agb.observer.learned(token, "session token")
        return token

    def keep_alive(self) -> OperationResult:
        """Start the session's idle timeout anew."""
        try:
            answer = self.send(endpoints.keep_alive(self.session_id))
        except AGBError as error:
            return OperationResult.failed(error)
        return OperationResult(True, "", answer.request_id, data=True)

    def get_link(self, protocol_type: str | None = None, port: int | None = None) -> OperationResult:
        """Get the URL under which a port of the session can be reached, as ``data``."""
        try:
            answer = self.send(endpoints.get_link(self.session_id, protocol_type, port))
            url = answer.fields.get("url")
            if not isinstance(url, str) or not url:
                raise ProtocolError(f"The link to session {self.session_id} came without a URL")
        except AGBError as error:
            return OperationResult.failed(error)
        return OperationResult(True, "", answer.request_id, data=url)

    def get_metrics(self) -> SessionMetricsResult:
        """Get how busy the session is."""
        try:
            answer = self._tools.run_tool("get_metrics", {}, 0)
            raw, metrics = responses.metrics(answer.text)
        except AGBError as error:
            return SessionMetricsResult.failed(error)
        return SessionMetricsResult(True, "", answer.request_id, metrics=metrics, raw=raw)

    # ---- tools -------------------------------------------------------------------------------------------

    def list_mcp_tools(self, image_id: str | None = None) -> McpToolsResult:
        """List the tools of the session's image. A session from ``get`` does not know its image: name it."""
        image = image_id or self.image_id
        try:
            if not image:
                raise InvalidRequestError("The session's image is not known: pass image_id")
            answer = self.send(endpoints.list_tools(image))
        except AGBError as error:
            return McpToolsResult.failed(error)
        return McpToolsResult(True, "", answer.request_id, tools=responses.tools(answer))

    def call_mcp_tool(
        self, name: str, args: Mapping[str, Any] | None = None, *, timeout_seconds: float = 0
    ) -> McpToolResult:
        """Run any tool by its name; its text is ``data``. Give its own timeout, so that ours is longer."""
        try:
            answer = self._tools.run_tool_with(name, args or {}, timeout_seconds)
        except AGBError as error:
            return McpToolResult.failed(error, data=error.message if isinstance(error, ToolError) else None)
        return McpToolResult(True, "", answer.request_id, data=answer.text)

    @property
    def calls(self) -> Sequence[Call]:
        """The calls of tools in this session, of the test that runs now, the oldest first.

        None where the session's client has no observer that keeps them; the plugin's fixtures have one.
        """
        return () if self.agb.observer is None else self.agb.observer.calls(self.session_id)

    # ---- end ---------------------------------------------------------------------------------------------

    def delete(self) -> DeleteResult:
        """Delete the session and wait until it is gone; one that is gone already is no failure."""
        return self.agb.delete(self)

    def mark_released(self) -> None:
        """Note that the session was given back: from now on every use of this object fails."""
        self._released = True

    @property
    def released(self) -> bool:
        """Whether the session was given back through this object."""
        return self._released

    def _require_alive(self) -> None:
        if self._released:
            raise NotFoundError(
                f"Session {self.session_id} was deleted, and can't be used any more",
                hint="Create another; nothing of a released session can be recovered",
            )

    # ---- for the layers around ---------------------------------------------------------------------------

    def send(self, request: messages.Request) -> messages.Answer:
        """Send a request about this session, and raise an :class:`AGBError` if it fails or has no session.

        Raises:
            SessionGoneError: the service has no such session (any more).
            UnansweredError: the answer did not come in time.
        """
        self._require_alive()
        try:
            return self.agb.send(request)
        except AGBError as error:
            raise _of_session(error, telling=request.path in _TELLING) from None


def _of_session(error: AGBError, *, telling: bool) -> AGBError:
    """What an error says of the session itself; a "not found" does so only where the call is ``telling``."""
    if isinstance(error, AGBTimeoutError):
        return error.as_kind(UnansweredError)
    if telling and isinstance(error, NotFoundError) and not isinstance(error, ImageNotFoundError):
        return error.as_kind(SessionGoneError)
    return error


@dataclass(frozen=True, repr=False)
class SessionResult(Result):
    """A session."""

    #: ``None`` where the call failed, which `success` or `check` tells; typed as what it is after that.
    session: Session = None  # type: ignore[assignment]

    def _shown(self) -> dict[str, Any]:
        return {"session": self.session}
