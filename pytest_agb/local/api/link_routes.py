"""What the paths of the API do that lead into a session: links to its ports, and tools called by a link."""

from __future__ import annotations

import functools
import hmac
from typing import TYPE_CHECKING

from pytest_agb.local.api.endpoint import route
from pytest_agb.local.api.reply import Reply, failure
from pytest_agb.local.api.request import BadRequestError, json_object
from pytest_agb.local.api.session_routes import tool_result
from pytest_agb.local.sessions.links import FIRST_PORT, LAST_PORT, Links

if TYPE_CHECKING:
    from starlette.routing import Route

    from pytest_agb.local.api.request import Call
    from pytest_agb.local.sessions.registry import Session, Sessions

_SCHEMES = {"https": "http", "wss": "ws", "": "ws"}


class LinkControl:
    """The handlers."""

    def __init__(self, live: Sessions, no_ports: str = "") -> None:
        """``no_ports`` says why sessions have none, where they don't."""
        self._live = live
        self._no_ports = no_ports
        self._links: dict[str, Links] = {}

    def routes(self) -> list[Route]:
        """Return which path calls which handler."""
        return [
            route("GET", "/internet/getLink", self.link),
            route("GET", "/mcp/getLink", self.link),  # of the SDK's asynchronous client
        ]

    def routes_by_token(self) -> list[Route]:
        """Return those below `session_routes.LINK_PATH`, which need no key, only the session's token."""
        return [route("POST", "/{session_id}/callTool", self.call_tool)]

    async def link(self, call: Call) -> Reply:
        """``getLink``: a URL for a port of the session. ``protocolType`` is ``wss`` if it is not given."""
        session = self._live.get(call.required("sessionId"))
        protocol = call.text("protocolType")
        if protocol not in _SCHEMES:
            raise BadRequestError(f"protocolType must be https or wss, not {protocol!r:.50}")
        if not call.text("port"):
            return failure(
                400,
                "NotSupported",
                f"Without a port a link leads to a browser, which is not available on the local backend; "
                f"give a port from {FIRST_PORT} to {LAST_PORT}, or set AGB_API_KEY to use the AGB cloud.",
            )
        port = call.number("port", default=0, lowest=FIRST_PORT, highest=LAST_PORT)
        if self._no_ports:
            return failure(400, "NotSupported", f"No port of a session can be reached: {self._no_ports}")
        return Reply(data={"url": f"{_SCHEMES[protocol]}://{await self._of(session).address(port)}/"})

    async def call_tool(self, call: Call) -> Reply:
        """``<linkUrl>/callTool``: of the reply the SDK reads ``data.result``, and of a failure the status."""
        session, token = self._live.get(call.path["session_id"]), call.headers.get("x-access-token", "")
        if not hmac.compare_digest(token.encode("utf-8", "replace"), session.token.reveal().encode()):
            return failure(403, "InvalidAccessToken", "X-Access-Token is missing or not the session's.")
        arguments = json_object(call.body.get("args", {}), "args")
        result = await tool_result(self._live, session.session_id, call.required("tool"), arguments)
        return Reply(data={"result": result})

    def _of(self, session: Session) -> Links:
        links = self._links.get(session.session_id)
        if links is None:
            on_use = functools.partial(self._live.get, session.session_id)
            links = self._links[session.session_id] = Links(session.sandbox, on_use)
            session.before_end.append(functools.partial(self._end, session.session_id, links))
        return links

    async def _end(self, session_id: str, links: Links) -> None:
        del self._links[session_id]
        await links.close()
