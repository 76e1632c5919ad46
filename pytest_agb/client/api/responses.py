"""Reads the payloads of good answers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from json import loads
from typing import TYPE_CHECKING, Any

from pytest_agb.client.api.json_values import whole_of
from pytest_agb.client.errors import ProtocolError, ToolError
from pytest_agb.client.results import GetSessionData, ListedSession, McpTool, SessionMetrics

if TYPE_CHECKING:
    from pytest_agb.client.api.messages import Answer

_DESKTOP = {
    "appId": "app_id",
    "authCode": "auth_code",
    "connectionProperties": "connection_properties",
    "resourceId": "resource_id",
    "resourceType": "resource_type",
    "ticket": "ticket",
}
#: Statuses of a session that is over. `DELETING` is not one: the session still counts.
_GONE = frozenset({"FINISH", "FINISHED", "DELETED"})


def is_gone(status: str) -> bool:
    """Whether a session of this status is over."""
    return status.upper() in _GONE


def status(answer: Answer) -> str:
    """The status of a session."""
    return str(answer.fields.get("status") or answer.fields.get("Status") or "")


def session_data(answer: Answer, session_id: str) -> GetSessionData:
    """The attributes of a session."""
    data = answer.fields
    return GetSessionData(
        session_id=str(data.get("sessionId") or session_id),
        app_instance_id=str(data.get("appInstanceId") or ""),
        resource_id=str(data.get("resourceId") or ""),
        resource_url=str(data.get("resourceUrl") or ""),
        status=status(answer),
    )


def info(answer: Answer) -> dict[str, Any]:
    """The details of a session, under the SDK's keys."""
    data = answer.fields
    details: dict[str, Any] = {
        "session_id": data.get("sessionId", ""),
        "resource_url": data.get("resourceUrl", ""),
    }
    desktop = data.get("desktopInfo")
    if isinstance(desktop, Mapping):
        details.update({name: desktop.get(key, "") for key, name in _DESKTOP.items()})
    return details


def labels(session_id: str, answer: Answer) -> dict[str, str]:
    """The labels of a session, which come as a string of JSON.

    Raises:
        ProtocolError: they don't.
    """
    value = answer.fields.get("labels")
    if value in (None, ""):
        return {}
    try:
        loaded = loads(value) if isinstance(value, str) else value
    except ValueError:
        loaded = None
    if not isinstance(loaded, dict):
        raise ProtocolError(
            f"The labels of session {session_id} came as {value!r}, not as a JSON object",
            request_id=answer.request_id,
        )
    return {str(key): str(item) for key, item in loaded.items()}


def listed(answer: Answer) -> list[ListedSession]:
    """The sessions on a page."""
    items = answer.data if isinstance(answer.data, list) else []
    return [
        ListedSession(str(item["sessionId"]), str(item.get("sessionStatus") or ""))
        for item in items
        if isinstance(item, Mapping) and item.get("sessionId")
    ]


def next_token(answer: Answer) -> str | None:
    """What to ask for the next page with, or ``None`` on the last one."""
    return str(answer.payload.get("nextToken") or "") or None


def count(answer: Answer, key: str, default: int) -> int:
    """A number beside ``data``."""
    number = whole_of(answer.payload.get(key))
    return default if number is None else number


def tools(answer: Answer) -> list[McpTool]:
    """The tools of an image, which come as a string of JSON, or as a list."""
    try:
        loaded = loads(answer.data) if isinstance(answer.data, str) else answer.data
    except ValueError:
        loaded = None
    return [
        McpTool(
            name=str(item.get("name") or ""),
            description=str(item.get("description") or ""),
            input_schema=schema if isinstance(schema := item.get("inputSchema"), Mapping) else {},
            server=str(item.get("server") or ""),
            tool=str(item.get("tool") or ""),
        )
        for item in (loaded if isinstance(loaded, list) else [])
        if isinstance(item, Mapping)
    ]


def metrics(text: str | None) -> tuple[dict[str, Any], SessionMetrics]:
    """What ``get_metrics`` answers, raw and sorted.

    Raises:
        ToolError: it is no JSON object.
    """
    try:
        raw = loads(text or "")
    except ValueError:
        raw = None
    if not isinstance(raw, dict):
        raise ToolError(f"The metrics came as {text!r}, not as a JSON object")
    values = dict(raw)
    for way in ("rx", "tx"):
        for old in (f"{way}_rate_kbps", f"{way}_rate_KBps"):
            values.setdefault(f"{way}_rate_kbyte_per_s", raw.get(old))
        for old in (f"{way}_used_kb", f"{way}_used_KB"):
            values.setdefault(f"{way}_used_kbyte", raw.get(old))
    known = {field.name: values[field.name] for field in fields(SessionMetrics) if values.get(field.name)}
    return raw, SessionMetrics(**known)
