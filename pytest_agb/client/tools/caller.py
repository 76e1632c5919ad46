"""How the session's modules reach the sandbox: by tool call, or by stream."""

from __future__ import annotations

import contextlib
import uuid
from json import dumps, loads
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pytest_agb.client.api import classify, direct_link, endpoints, stream_link
from pytest_agb.client.calls import Happened
from pytest_agb.client.errors import InvalidRequestError, RefusedError
from pytest_agb.client.http import websocket
from pytest_agb.client.tools.stream_output import StreamedOutput

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pytest_agb.client.api.direct_link import DirectLink
    from pytest_agb.client.api.messages import Answer, Request
    from pytest_agb.client.protocol import Client
    from pytest_agb.client.tools.stream_output import Heard


class ToolOutput(NamedTuple):
    """What a tool answered."""

    text: str | None
    request_id: str


class ToolSession(Protocol):
    """What tool calls need of their session. All of it may change, see `Session.become`."""

    agb: Client
    session_id: str
    direct_link: DirectLink | None

    def send(self, request: Request) -> Answer:
        """Send a request, and raise an :class:`~pytest_agb.client.errors.AGBError` if it fails."""


class ToolCaller:
    """Runs tools in one session."""

    def __init__(self, session: ToolSession) -> None:
        self._session = session

    def run_tool(self, name: str, args: Mapping[str, Any], tool_timeout_seconds: float = 0) -> ToolOutput:
        """Run a tool, by the session's direct link where that leads to it.

        Raises:
            AGBError: the call, or the tool, failed.
        """
        _written(name, args)
        with self.observed(name, args) as call:
            answer = self.run_part(name, args, tool_timeout_seconds)
            call.answered(answer.text, answer.request_id)
            return answer

    def run_tool_with(
        self, name: str, args: Mapping[str, Any], tool_timeout_seconds: float = 0
    ) -> ToolOutput:
        """As `run_tool`, with arguments that their owner may change later: what was called is kept."""
        return self.run_tool(name, loads(_written(name, args)), tool_timeout_seconds)

    def observed(self, name: str, args: Mapping[str, Any]) -> Happened:
        """Have a call told of as one, whatever it takes to make it; its parts are run by `run_part`."""
        return Happened(self._session.agb.observer, self._session.session_id, name, args)

    def run_part(self, name: str, args: Mapping[str, Any], tool_timeout_seconds: float = 0) -> ToolOutput:
        """As `run_tool`, and nobody is told of it: the call that this is a part of is `observed`."""
        timeout = tool_timeout_seconds + self._session.agb.settings.tool_margin_seconds
        session_id, link = self._session.session_id, self._session.direct_link
        if link is not None and name in link.servers:
            request = direct_link.call_tool(link, session_id, name, args, timeout)
        else:
            request = endpoints.call_tool(session_id, name, args, timeout)
        answer = self._session.send(request)
        return ToolOutput(classify.tool_text(answer), answer.request_id)

    def stream_code(
        self, code: str, language: str, timeout_s: float
    ) -> tuple[StreamedOutput, Generator[Heard, None, None]]:
        """Have a program streamed: what it said so far, and what gives that and must be closed.

        Raises:
            AGBError: the session has no stream. What is given may raise one, too.
        """
        call = self.observed("run_code", {"code": code, "language": language, "timeout_s": timeout_s})
        try:
            output, heard = self._begin_stream(code, language, timeout_s)
        except BaseException as error:
            call.__exit__(type(error), error, None)
            raise
        call.streams(output.output, output.invocation_id)
        return output, _told(call, output, heard)

    def _begin_stream(
        self, code: str, language: str, timeout_s: float
    ) -> tuple[StreamedOutput, Generator[Heard, None, None]]:
        session_id, settings = self._session.session_id, self._session.agb.settings
        purpose = f"stream code in session {session_id}"
        # Asked for anew by each program: so no session holds what opens it.
        answer = self._session.send(endpoints.get_session(session_id))
        link = stream_link.of(answer.fields)
        if link is None:
            raise RefusedError(
                f"Could not {purpose}: the service offers no stream for it",
                request_id=answer.request_id,
                hint="Run it without stream_beta and callbacks",
            )
        output = StreamedOutput(uuid.uuid4().hex)
        first = stream_link.run_code(output.invocation_id, link.target, code, language, timeout_s)
        limit = timeout_s + settings.tool_margin_seconds
        return output, output.heard(websocket.messages(link, first, purpose, limit, settings))

    def redact(self, text: str) -> str:
        """Blot the API key out of a text."""
        return self._session.agb.redact(text)


def _written(name: str, args: Mapping[str, Any]) -> str:
    try:
        return dumps(args, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"The arguments of {name} can't be sent as JSON: {error}") from None


def _told(
    call: Happened, output: StreamedOutput, heard: Generator[Heard, None, None]
) -> Generator[Heard, None, None]:
    """Give what is ``heard``, and tell of the call when that is over."""
    with call, contextlib.closing(heard):
        try:
            yield from heard
        except GeneratorExit:
            if not output.ended:  # the caller has given up
                raise
