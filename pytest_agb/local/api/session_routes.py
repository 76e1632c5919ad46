"""What each path of the API does."""

from __future__ import annotations

import base64
import json
import math
import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pytest_agb.local.api import page
from pytest_agb.local.api.endpoint import route
from pytest_agb.local.api.reply import Reply, failure
from pytest_agb.local.api.request import MAX_PAGE, PAGE, BadRequestError, json_object
from pytest_agb.local.sessions import tool_schemas
from pytest_agb.local.sessions.sandbox import SandboxError

if TYPE_CHECKING:
    from starlette.routing import Route

    from pytest_agb.local.api.request import Call
    from pytest_agb.local.sessions.registry import Session, Sessions

#: Where a session's tools are called with its token in place of the API key: its ID and ``/callTool`` follow.
LINK_PATH = "/link/"
#: Where its code streams: its ID follows.
STREAM_PATH = "/stream/"

#: Takes apart what a session's creation says of contexts; what it returns binds them to the session.
Binder = Callable[[Any], Callable[["Session"], Awaitable[None]]]


class Control:
    """The handlers. Each takes a request apart, does one thing and says what came of it."""

    def __init__(self, live: Sessions, binder: Binder, *, link_route: bool) -> None:
        self._live = live
        self._binder = binder
        self._link_route = link_route

    def routes(self) -> list[Route]:
        """Return which path calls which handler."""
        return [
            route("POST", "/mcp/createSession", self.create),
            route("POST", "/mcp/getSession", self.get),
            route("POST", "/mcp/getSessionInfo", self.status),
            route("POST", "/mcp/getMcpResource", self.resource),
            route("POST", "/mcp/refreshSessionIdleTime", self.keep_alive),
            route("POST", "/mcp/releaseSessionAsync", self.release),
            route("POST", "/mcp/releaseSession", self.release),  # SDK 0.6 and older
            route("GET", "/sdk/ListSession", self.list_sessions),
            route("POST", "/sdk/SetLabel", self.set_labels),
            route("GET", "/sdk/GetLabel", self.get_labels),
            route("POST", "/mcp/listTools", self.list_tools),
            route("POST", "/internet/getCdpLink", self.no_browser),
            route("POST", "/browser/init", self.no_browser),
            route("POST", "/mcp", self.call_tool),
        ]

    async def create(self, call: Call) -> Reply:
        """``createSession``."""
        image = call.required("imageId")
        labels = _labels(call.body.get("labels"))
        bind = self._binder(call.body.get("persistenceDataList"))
        try:
            session = await self._live.create(image, labels, _idle_seconds(call.body.get("timeout")))
        except SandboxError as error:
            return failure(503, "SandboxFailed", f"The local backend could not make a sandbox: {error}")
        await bind(session)
        return Reply(data={**_description(session, call), **self._link(session, call), "success": True})

    async def get(self, call: Call) -> Reply:
        """``getSession``."""
        session = self._session(call)
        return Reply(
            data={**_description(session, call), **self._link(session, call), "status": session.status}
        )

    def _link(self, session: Session, call: Call) -> dict[str, Any]:
        """Return what makes the SDK call tools past ``/mcp``, if asked for: it costs it 20 ms a call."""
        if not self._link_route:
            return {}
        servers = [{"name": tool.name, "server": tool.server} for tool in tool_schemas.TOOLS.values()]
        return {
            "linkUrl": f"{call.base_url}{LINK_PATH}{session.session_id}",
            "toolList": json.dumps(servers),
        }

    async def status(self, call: Call) -> Reply:
        """``getSessionInfo``. Does not count as use: the SDK's tests poll it and expect the idle release."""
        session = self._live.peek(_session_id(call))
        return Reply(data={"sessionId": session.session_id, "status": session.status})

    async def resource(self, call: Call) -> Reply:
        """``getMcpResource``."""
        session = self._session(call)
        description = _description(session, call)
        return Reply(data={"sessionId": session.session_id, "resourceUrl": description["resourceUrl"]})

    async def keep_alive(self, call: Call) -> Reply:
        """``refreshSessionIdleTime``."""
        self._session(call)
        return Reply(data={})

    async def release(self, call: Call) -> Reply:
        """``releaseSessionAsync``."""
        await self._live.release(_session_id(call))
        return Reply(data={})

    async def list_sessions(self, call: Call) -> Reply:
        """``ListSession``. ``count`` is that of all matches, whatever the page."""
        size = call.number("maxResults", default=PAGE, lowest=1, highest=MAX_PAGE)
        found = self._live.find(_labels(call.text("labels") or None))
        after = _serial(call.text("nextToken"))
        rest = [session for session in found if session.serial > after]
        page = rest[:size]
        more: dict[str, Any] = {"maxResults": size, "count": len(found)}
        if len(rest) > size:
            more["nextToken"] = _token(page[-1].serial)
        data = [{"sessionId": session.session_id, "sessionStatus": session.status} for session in page]
        return Reply(data=data, more=more)

    async def set_labels(self, call: Call) -> Reply:
        """``SetLabel``: replaces them all."""
        session = self._session(call)
        text = call.text("Labels", "labels")
        if not text:
            raise BadRequestError("Labels is missing")
        session.labels = _labels(text)
        return Reply(data={})

    async def get_labels(self, call: Call) -> Reply:
        """``GetLabel``."""
        session = self._session(call)
        return Reply(data={"labels": json.dumps(session.labels)})

    async def list_tools(self, call: Call) -> Reply:
        """``listTools``: a JSON text in ``data``."""
        self._live.check_image(call.text("imageId") or "agb-code-space-1")
        return Reply(data=json.dumps([tool.schema() for tool in tool_schemas.TOOLS.values()]))

    async def no_browser(self, call: Call) -> Reply:
        """``browser/init`` and ``getCdpLink``."""
        self._session(call)
        return failure(400, "NotSupported", tool_schemas.not_here("A browser"))

    async def call_tool(self, call: Call) -> Reply:
        """``/mcp``."""
        name, session_id = call.text("name"), call.text("sessionId")
        if not name or not session_id:
            raise BadRequestError("name or sessionId is missing")
        arguments = json_object(call.body.get("args", "{}"), "args")
        return Reply(data=await tool_result(self._live, session_id, name, arguments))

    def _session(self, call: Call) -> Session:
        return self._live.get(_session_id(call))


def _session_id(call: Call) -> str:
    session_id = call.text("sessionId", "SessionId")
    if not session_id:
        raise BadRequestError("sessionId is missing")
    return session_id


async def tool_result(
    live: Sessions, session_id: str, name: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    """Call a tool and return what it said, as the SDK expects it.

    Raises:
        sessions.SessionNotFoundError
    """
    try:
        answer = await live.call(session_id, name, arguments)
    except (tool_schemas.ArgumentError, SandboxError) as error:
        return _tool_result(False, str(error))
    return _tool_result(answer.ok, answer.text)


def _tool_result(ok: bool, text: str) -> dict[str, Any]:
    return {"isError": not ok, "content": [{"type": "text", "text": text}]}


def _description(session: Session, call: Call) -> dict[str, Any]:
    # The authorization code is another one each time, as the SDK's tests expect of the service.
    return {
        "sessionId": session.session_id,
        "appInstanceId": session.instance_id,
        "resourceId": session.resource_id,
        "resourceUrl": page.url(call.base_url, session, secrets.token_hex(8)),
        "wsUrl": call.base_url.replace("http", "ws", 1) + STREAM_PATH + session.session_id,
        "token": session.token.reveal(),
    }


def _labels(value: Any) -> dict[str, str]:
    if value is None or value == "":
        return {}
    labels = json_object(value, "labels")
    # The service is not documented to check labels; the SDK sends numbers if it gets them.
    return {str(key): text if isinstance(text, str) else json.dumps(text) for key, text in labels.items()}


def _idle_seconds(value: Any) -> float | None:
    if value is None or value == 0:
        return None
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        seconds = math.nan
    if not seconds > 0 or math.isinf(seconds):
        raise BadRequestError(f"timeout must be a number of seconds above 0, not {value!r:.50}")
    return seconds


def _token(serial: int) -> str:
    """Return the token of the page after session ``serial``. Opaque: nobody is to count with it."""
    return base64.urlsafe_b64encode(f"after {serial}".encode()).decode()


def _serial(token: str) -> int:
    if not token:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(token).decode().partition(" ")
        if word == "after":
            return int(number)
    except ValueError:
        pass
    raise BadRequestError(f"nextToken must be one of a page before, not {token!r:.50}")
