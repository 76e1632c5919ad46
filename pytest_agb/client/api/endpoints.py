"""The API's calls as requests, one function each. Pure; the facts are those of the official SDK 0.12.0."""

from __future__ import annotations

import functools
from json import dumps
from typing import TYPE_CHECKING, Any

from pytest_agb.client.api import classify
from pytest_agb.client.api.messages import Repeat, Request

if TYPE_CHECKING:
    from collections.abc import Mapping

#: A call whose answer says in the common way whether it succeeded.
_call = functools.partial(Request, judge=classify.refusal)


def create_session(
    image_id: str, labels: Mapping[str, str], idle_timeout_seconds: int | None, policy_id: str | None
) -> Request:
    """Ask for a session. Never repeated: a lost answer may stand for a session that exists."""
    body: dict[str, Any] = {}
    if labels:
        body["labels"] = dumps(labels)
    if idle_timeout_seconds:
        body["timeout"] = idle_timeout_seconds
    if policy_id:
        body["mcpPolicyId"] = policy_id
    return Request(
        f"create a session of image {image_id!r}",
        "POST",
        "/mcp/createSession",
        query={"imageId": image_id},
        body=body,
        repeat=Repeat.NEVER,
        judge=classify.create_refusal,
    )


def get_session(session_id: str) -> Request:
    """Ask for a session's attributes."""
    body = {"sessionId": session_id}
    return _call(f"get session {session_id}", "POST", "/mcp/getSession", body=body)


def get_status(session_id: str) -> Request:
    """Ask for a session's status; this does not reset its idle timer."""
    body = {"sessionId": session_id}
    return _call(f"get the status of session {session_id}", "POST", "/mcp/getSessionInfo", body=body)


def get_info(session_id: str) -> Request:
    """Ask for a session's resource."""
    purpose = f"get the details of session {session_id}"
    body = {"sessionId": session_id}
    return Request(purpose, "POST", "/mcp/getMcpResource", body=body, judge=classify.info_refusal)


def keep_alive(session_id: str) -> Request:
    """Reset a session's idle timer."""
    query = {"sessionId": session_id}
    return _call(
        f"keep session {session_id} alive", "POST", "/mcp/refreshSessionIdleTime", query=query, body={}
    )


def release(session_id: str) -> Request:
    """Ask for a session's end; the answer comes before the end does."""
    body = {"sessionId": session_id}
    return _call(f"release session {session_id}", "POST", "/mcp/releaseSessionAsync", body=body)


def list_sessions(labels: Mapping[str, str], limit: int, token: str | None) -> Request:
    """Ask for one page of session IDs."""
    query = {"maxResults": str(limit), "labels": dumps(dict(labels))}
    if token:
        query["nextToken"] = token
    return _call("list sessions", "GET", "/sdk/ListSession", query=query)


def set_labels(session_id: str, labels: Mapping[str, str]) -> Request:
    """Replace a session's whole label set."""
    query = {"sessionId": session_id, "Labels": dumps(dict(labels))}
    return _call(f"set the labels of session {session_id}", "POST", "/sdk/SetLabel", query=query, body={})


def get_labels(session_id: str) -> Request:
    """Ask for a session's labels."""
    query = {"sessionId": session_id}
    return _call(f"get the labels of session {session_id}", "GET", "/sdk/GetLabel", query=query)


def get_link(session_id: str, protocol_type: str | None, port: int | None) -> Request:
    """Ask for an address under which a port of the session can be reached."""
    query = {"sessionId": session_id}
    if protocol_type:
        query["protocolType"] = protocol_type
    if port is not None:
        query["port"] = str(port)
    return _call(f"get a link to session {session_id}", "GET", "/internet/getLink", query=query)


def list_tools(image_id: str) -> Request:
    """Ask for the tools of an image."""
    query = {"imageId": image_id}
    return _call(f"list the tools of image {image_id!r}", "POST", "/mcp/listTools", query=query, body={})


def call_tool(session_id: str, name: str, args: Mapping[str, Any], timeout_seconds: float) -> Request:
    """Run a tool in a session. Repeated only where no connection could be opened: tools have effects."""
    return Request(
        f"run {name} in session {session_id}",
        "POST",
        "/mcp",
        query={"autoGenSession": "false"},
        body={"args": dumps(args), "sessionId": session_id, "name": name},
        repeat=Repeat.IF_NOT_SENT,
        judge=classify.tool_refusal,
        timeout_seconds=timeout_seconds,
    )
