"""A stand-in for the AGB service, on real sockets, that can be made to misbehave.

::

    with StandIn() as service:
        agb = AGB(service.api_key, service.endpoint)
        service.fault("/mcp/createSession", "drop_after")
        ...
        assert service.count("/mcp/createSession") == 1

It has sessions and labels as the service has them, but no sandboxes: a tool call is answered by the function
in ``service.tools`` that has the tool's name.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple, Self

from support.standin_faults import AFTER, PAGES, REFUSALS, Fault, RefusedError, refused, reply
from support.standin_http import HttpReply, HttpRequest, HttpServer

#: An image that the stand-in knows.
IMAGE = "agb-code-space-1"

#: Answers a tool call. A string is the tool's text; raise :class:`ToolError` for a tool's error.
Tool = Callable[["StandInSession", dict[str, Any]], str]


class ToolError(Exception):
    """A tool's own error, with its text."""


@dataclass
class StandInSession:
    """A session as the service knows it."""

    session_id: str
    api_key: str = field(repr=False)
    image_id: str
    labels: dict[str, str]
    created_at: float
    last_used: float
    idle_timeout_seconds: float | None = None
    policy_id: str | None = None
    #: Set by a release: when it ends.
    gone_at: float | None = None
    #: For tools to keep what they like, files for example.
    memory: dict[str, Any] = field(default_factory=dict)


class Recorded(NamedTuple):
    """A request that came in."""

    http: HttpRequest
    body: Mapping[str, Any]
    api_key: str
    #: On the monotonic clock.
    at: float

    @property
    def path(self) -> str:
        """The path that was asked for."""
        return self.http.path


class StandIn:
    """The service; every public attribute may be changed while it runs."""

    def __init__(
        self,
        *,
        images: Iterable[str] = (IMAGE, "agb-code-space-2"),
        max_sessions: int | None = None,
        delete_seconds: float = 0.0,
        label_lag_seconds: float = 0.0,
    ) -> None:
        self.images = set(images)
        #: Images of which no session is made, and the refusal.
        self.refused_images: dict[str, RefusedError] = {}
        #: Sessions that one account may have; ``None`` for no limit.
        self.max_sessions = max_sessions
        #: From a release to the session's end; the status is DELETING until then.
        self.delete_seconds = delete_seconds
        #: Age from which on a session shows up in listings.
        self.label_lag_seconds = label_lag_seconds
        #: Age from which on a session's labels can be read: it shows none before.
        self.labels_readable_seconds = 0.0
        #: IDs that the next creates are answered with, in place of their own.
        self.answers_to_creates: deque[str] = deque()
        #: Whether a session that is being deleted is still listed, which is not documented either way.
        self.lists_deleting = False
        #: IDs of sessions whose release is refused.
        self.undeletable: set[str] = set()
        #: How many releases are accepted and come to nothing.
        self.forgotten_releases = 0
        #: How old a listing is: sessions are listed so late, and for so long after their end.
        self.listing_age_seconds = 0.0
        #: Seconds that every answer takes, and those of one path take on top.
        self.round_trip_seconds = 0.0
        self.latency: dict[str, float] = {}
        self.hang_seconds = 30.0
        self.retry_after = "0"
        self.tools: dict[str, Tool] = {}
        #: What a session's attributes say of its stream: `wsUrl`, `token`, `toolList`.
        self.stream: dict[str, Any] = {}
        #: Whether sessions have a direct way to their tools, and whether its answers are JSON text in JSON.
        self.direct_links = False
        self.direct_links_as_text = False
        self.api_key = "ako-standin-0123456789"
        self.accounts = {self.api_key}
        self.requests: list[Recorded] = []
        self.sessions: dict[str, StandInSession] = {}
        self._faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._server = HttpServer(self._answer)
        self.endpoint = f"http://127.0.0.1:{self._server.port}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop; requests under way end at once."""
        self._closing.set()
        self._server.close()
        if self._server.failures:
            raise AssertionError("the stand-in itself failed") from self._server.failures[0]

    # ---- for tests ---------------------------------------------------------------------------------------

    def fault(self, path: str, kind: Fault, times: int = 1) -> None:
        """Have the next ``times`` requests for ``path`` go wrong."""
        with self._lock:
            self._faults[path].extend([kind] * times)

    def add_account(self, api_key: str) -> None:
        """Accept another key; its sessions are its own."""
        self.accounts.add(api_key)

    def add_session(self, labels: Mapping[str, str], api_key: str | None = None) -> str:
        """Have a session without a request for it, and return its ID."""
        with self._lock:
            self._create({"imageId": IMAGE, "labels": json.dumps(dict(labels))}, api_key or self.api_key)
            return next(reversed(self.sessions))

    def count(self, path: str) -> int:
        """How many requests for ``path`` came in."""
        with self._lock:
            return sum(request.path == path for request in self.requests)

    @property
    def connections(self) -> int:
        """How many connections were opened."""
        return self._server.connections

    def break_connections(self) -> None:
        """Break every connection there is, idle ones too."""
        self._server.break_connections()

    def live_sessions(self, api_key: str | None = None) -> list[StandInSession]:
        """The sessions that are not gone, of one account or of all."""
        with self._lock:
            return [
                session
                for session in self.sessions.values()
                if api_key in (None, session.api_key) and not self._is_gone(session)
            ]

    def end_session(self, session_id: str) -> None:
        """End a session as the service does after its idle timeout."""
        with self._lock:
            self.sessions[session_id].gone_at = 0.0

    # ---- answering ---------------------------------------------------------------------------------------

    def _answer(self, request: HttpRequest) -> HttpReply | None:
        api_key = request.headers.get("authorization", "").removeprefix("Bearer ")
        body = json.loads(request.body or b"{}")
        with self._lock:
            number = next(self._numbers)
            self.requests.append(Recorded(request, body, api_key, time.monotonic()))
            queue = self._faults[request.path]
            fault = queue.popleft() if queue else None
        self._closing.wait(self.round_trip_seconds + self.latency.get(request.path, 0.0))
        if self._closing.is_set() or fault == "drop_before":
            return None
        if fault in PAGES:
            return PAGES[fault]
        if fault in REFUSALS:
            return refused(number, REFUSALS[fault], self.retry_after if fault == "429" else None)
        if fault == "ignores_filter":
            request = replace(request, query={**request.query, "labels": "{}"})
        try:
            answer = self._do(request, body, api_key, number)
        except RefusedError as refusal:
            answer = refused(number, refusal)
        if fault in AFTER:
            return refused(number, AFTER[fault], self.retry_after if fault == "429_after" else None)
        if fault == "hollow_after":
            return reply(200, number)
        if fault in ("circle", "no_end"):
            page = {"circle": number % 2 + 1, "no_end": number}[fault]
            return HttpReply(200, json.dumps({**json.loads(answer.body), "nextToken": f"0{page}"}).encode())
        if fault == "hang":
            self._closing.wait(self.hang_seconds)
        return None if fault == "drop_after" or self._closing.is_set() else answer

    def _do(self, request: HttpRequest, body: dict[str, Any], api_key: str, number: int) -> HttpReply:
        if request.path.startswith("/link/"):
            return self._call_by_link(request, body, number)
        if api_key not in self.accounts:
            # A careless service repeats what it was given; clients must not.
            raise RefusedError(401, "InvalidApiKey", f"The API key {api_key} is invalid")
        if request.path == "/mcp":
            return self._call_tool(body, api_key, number)  # outside the lock: tools may take their time
        call = _CALLS.get((request.method, request.path))
        if call is None:
            raise RefusedError(404, "InvalidAction.NotFound", f"There is no {request.method} {request.path}")
        with self._lock:
            return reply(200, number, **call(self, {**request.query, **body}, api_key))

    def _create(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        image = given.get("imageId", "")
        if image in self.refused_images:
            raise self.refused_images[image]
        if image not in self.images:
            raise RefusedError(400, "InvalidImage.NotFound", f"Image [{image}] is not found")
        if self.max_sessions is not None and len(self.live_sessions(api_key)) >= self.max_sessions:
            raise RefusedError(429, "QuotaExceeded", f"The quota of {self.max_sessions} sessions is exceeded")
        now = time.monotonic()
        session = StandInSession(
            f"session-{len(self.sessions) + 1:06d}",
            api_key,
            image,
            json.loads(given.get("labels") or "{}"),
            created_at=now,
            last_used=now,
            idle_timeout_seconds=given.get("timeout"),
            policy_id=given.get("mcpPolicyId"),
        )
        self.sessions[session.session_id] = session
        answer = {**_attributes(session), **self._direct_link(session), "success": True}
        if self.answers_to_creates:
            answer["sessionId"] = self.answers_to_creates.popleft()
        return {"data": answer}

    def _get(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        session = self._find(given, api_key)
        more = {**self._direct_link(session), **self.stream, "status": self._status(session)}
        return {"data": {**_attributes(session), **more}}

    def _get_status(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        session = self._find(given, api_key, touch=False)
        return {"data": {"sessionId": session.session_id, "status": self._status(session)}}

    def _touch(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        self._find(given, api_key)
        return {}

    def _release(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        session = self._find(given, api_key, touch=False)
        if session.session_id in self.undeletable:
            raise RefusedError(400, "InvalidState", "The session can't be released now")
        if self.forgotten_releases:
            self.forgotten_releases -= 1
        elif session.gone_at is None:
            session.gone_at = time.monotonic() + self.delete_seconds
        return {}

    def _list(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        wanted = json.loads(given.get("labels") or "{}").items()
        then = time.monotonic() - self.listing_age_seconds
        found = [
            session
            for session in self.sessions.values()
            if session.api_key == api_key
            and not self._is_gone(session, then)
            and (session.gone_at is None or session.gone_at > then or self.lists_deleting)
            and wanted <= session.labels.items()
            and then - session.created_at >= self.label_lag_seconds
        ]
        start, size = int(given.get("nextToken") or 0), int(given.get("maxResults") or 10)
        page = found[start : start + size]
        return {
            "data": [{"sessionId": item.session_id, "sessionStatus": "RUNNING"} for item in page],
            "nextToken": str(start + size) if start + size < len(found) else "",
            "maxResults": size,
            "count": len(found),
        }

    def _set_labels(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        self._find(given, api_key).labels = json.loads(given["Labels"])
        return {}

    def _get_labels(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        session = self._find(given, api_key)
        readable = time.monotonic() - session.created_at >= self.labels_readable_seconds
        return {"data": {"labels": json.dumps(session.labels if readable else {})}}

    def _get_link(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        session = self._find(given, api_key)
        return {"data": {"url": f"https://link.invalid/{session.session_id}?token=link-secret"}}

    def _list_tools(self, given: dict[str, Any], api_key: str) -> dict[str, Any]:
        return {"data": json.dumps([{"name": name, "inputSchema": {}, "server": "s"} for name in self.tools])}

    def _direct_link(self, session: StandInSession) -> dict[str, Any]:
        if not self.direct_links:
            return {}
        tools = [{"name": name, "server": f"server of {name}"} for name in self.tools]
        return {
            "linkUrl": f"{self.endpoint}/link/{session.session_id}/",
            "token": f"token-secret-{session.session_id}",
            "toolList": json.dumps(tools),
        }

    def _call_by_link(self, request: HttpRequest, body: dict[str, Any], number: int) -> HttpReply:
        session_id = request.path.split("/")[2]
        token = request.headers.get("x-access-token", "")
        if token != f"token-secret-{session_id}" or body["token"] != token:
            raise RefusedError(403, "InvalidAccessToken", f"The token {token} is not the session's")
        given = {"sessionId": session_id, "name": body["tool"], "args": json.dumps(body["args"])}
        said = json.loads(self._call_tool(given, self.sessions[session_id].api_key, number).body)
        result: Any = {"result": said["data"]}
        # No `success`, no `message`: the SDK reads neither.
        data = json.dumps(result) if self.direct_links_as_text else result
        return HttpReply(200, json.dumps({"data": data}).encode())

    def _call_tool(self, body: dict[str, Any], api_key: str, number: int) -> HttpReply:
        with self._lock:
            session = self._find(body, api_key)
        tool = self.tools.get(body["name"])
        try:
            if tool is None:
                raise ToolError(f"Tool {body['name']} not found")
            text, failed = tool(session, json.loads(body["args"])), False
        except ToolError as failure:
            text, failed = str(failure), True
        content = [{"type": "text", "text": text}]
        return reply(200, number, data={"isError": failed, "content": content})

    def _find(self, given: Mapping[str, Any], api_key: str, *, touch: bool = True) -> StandInSession:
        session = self.sessions.get(given.get("sessionId", ""))
        if session is None or session.api_key != api_key or self._is_gone(session):
            raise RefusedError(400, "InvalidMcpSession.NotFound", "Session not found")
        if touch:
            session.last_used = time.monotonic()
        return session

    def _is_gone(self, session: StandInSession, now: float | None = None) -> bool:
        now = time.monotonic() if now is None else now
        idle = session.idle_timeout_seconds
        if session.gone_at is None and idle is not None and now - session.last_used >= idle:
            session.gone_at = now
        return session.gone_at is not None and now >= session.gone_at

    def _status(self, session: StandInSession) -> str:
        return "RUNNING" if session.gone_at is None else "DELETING"


_CALLS: dict[tuple[str, str], Callable[[StandIn, dict[str, Any], str], dict[str, Any]]] = {
    ("POST", "/mcp/createSession"): StandIn._create,
    ("POST", "/mcp/getSession"): StandIn._get,
    ("POST", "/mcp/getSessionInfo"): StandIn._get_status,
    ("POST", "/mcp/getMcpResource"): StandIn._get,
    ("POST", "/mcp/refreshSessionIdleTime"): StandIn._touch,
    ("POST", "/mcp/releaseSessionAsync"): StandIn._release,
    ("GET", "/sdk/ListSession"): StandIn._list,
    ("POST", "/sdk/SetLabel"): StandIn._set_labels,
    ("GET", "/sdk/GetLabel"): StandIn._get_labels,
    ("GET", "/internet/getLink"): StandIn._get_link,
    ("POST", "/mcp/listTools"): StandIn._list_tools,
}


def _attributes(session: StandInSession) -> dict[str, Any]:
    return {
        "sessionId": session.session_id,
        "appInstanceId": f"app-{session.session_id}",
        "resourceId": f"res-{session.session_id}",
        "resourceUrl": f"https://resource.invalid/?resourceId=res-{session.session_id}&authCode=url-secret",
    }
