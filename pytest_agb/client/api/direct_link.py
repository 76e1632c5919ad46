"""The direct way to a session's tools, past the API. Pure; the facts are those of the official SDK 0.12.0.

A session has it where the service names a URL, a token and, for the tool, a server. There is then no way back
to the API where a call fails: a tool has effects.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from json import loads
from typing import Any

from pytest_agb.client.api import classify
from pytest_agb.client.api.json_values import text_of
from pytest_agb.client.api.messages import Answer, Repeat, Request
from pytest_agb.secret import Secret


@dataclass(frozen=True)
class DirectLink:
    """What opens the direct way."""

    url: str
    token: Secret
    #: By the names of the tools.
    servers: Mapping[str, str] = field(repr=False)


def of(data: Mapping[str, Any]) -> DirectLink | None:
    """The direct way to a session of these attributes; ``None`` where it has none."""
    url = text_of(data.get("linkUrl") or data.get("LinkUrl")).rstrip("/")
    token = text_of(data.get("token") or data.get("Token"))
    tools = servers(data.get("toolList") or data.get("ToolList"))
    return DirectLink(url, Secret(token), tools) if url and token and tools else None


def servers(tools: Any) -> dict[str, str]:
    """The server of each tool in a list of them, which may be JSON text."""
    try:
        listed = loads(tools) if isinstance(tools, str) else tools
    except (ValueError, RecursionError):
        listed = None
    found = {}
    for tool in listed if isinstance(listed, list) else []:
        if isinstance(tool, Mapping):
            name = text_of(tool.get("name") or tool.get("Name"))
            server = text_of(tool.get("server") or tool.get("serverName") or tool.get("Server"))
            if name and server:
                found[name] = server
    return found


def call_tool(
    link: DirectLink, session_id: str, name: str, args: Mapping[str, Any], timeout_seconds: float
) -> Request:
    """Run a tool in a session. Repeated only where no connection could be opened: tools have effects."""
    return Request(
        f"run {name} in session {session_id}",
        "POST",
        "/callTool",
        body={
            "args": args,
            "server": link.servers[name],
            "requestId": f"link-{secrets.token_hex(12)}",
            "tool": name,
        },
        repeat=Repeat.IF_NOT_SENT,
        judge=classify.tool_refusal,
        read=_unwrap,
        timeout_seconds=timeout_seconds,
        url=link.url,
        token=link.token,
    )


def _unwrap(answer: Answer) -> Answer:
    """What a tool said is wrapped twice, the inner time perhaps as text, and without a verdict outside."""
    data = answer.data
    try:
        data = loads(data) if isinstance(data, str) else data
    except (ValueError, RecursionError):
        data = None
    result = data.get("result") if isinstance(data, Mapping) else None
    good = answer.http_status < 400 and isinstance(result, Mapping)
    message = answer.message or ("" if good else "the link's answer holds no result")
    payload = {**answer.payload, "success": good, "message": message, "data": result}
    return replace(answer, payload=payload)
