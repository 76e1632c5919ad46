"""The stream of a session's programs: what opens it, and the message that starts one. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from json import dumps
from typing import TYPE_CHECKING, Any

from pytest_agb.client.api import direct_link
from pytest_agb.client.api.json_values import text_of
from pytest_agb.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Where a session's code runs, unless its list of tools says otherwise.
_TARGET = "wuying_codespace"


@dataclass(frozen=True)
class StreamLink:
    """What opens a session's stream."""

    url: str
    token: Secret
    target: str = _TARGET


def of(data: Mapping[str, Any]) -> StreamLink | None:
    """What opens the stream of a session of these attributes; ``None`` where it has none."""
    url = text_of(data.get("wsUrl") or data.get("WsUrl"))
    token = text_of(data.get("token") or data.get("Token"))
    if not url or not token:
        return None
    servers = direct_link.servers(data.get("toolList") or data.get("ToolList"))
    return StreamLink(url, Secret(token), servers.get("run_code", _TARGET))


def run_code(invocation_id: str, target: str, code: str, language: str, timeout_s: float) -> str:
    """The message that starts a program."""
    params = {"language": language, "timeoutS": timeout_s, "code": code}
    data = {"method": "run_code", "mode": "stream", "params": params}
    return dumps({"invocationId": invocation_id, "source": "SDK", "target": target, "data": data})
