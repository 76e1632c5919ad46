"""What calls return: success or what went wrong, and the payload under the guide's and the SDK's names.

``repr`` is short, since pytest shows 240 characters of it in a failed assertion, and shows no secret.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pytest_agb.client.errors import AGBError, RefusedError, ToolError

if TYPE_CHECKING:
    from typing import Self

#: Keys whose values give access to a session.
_SECRETS = frozenset({"resource_url", "auth_code", "ticket", "token", "connection_properties"})


@dataclass(frozen=True, repr=False)
class Result:
    """What every call returns."""

    success: bool
    error_message: str = ""
    request_id: str = ""
    #: Why it failed, as an exception that can be raised or asked about.
    error: AGBError | None = None

    @classmethod
    def failed(cls, error: AGBError, **payload: Any) -> Self:
        """The result of a call that ended with ``error``."""
        # What a tool says is the text that tests look at: it stands alone.
        text = error.message if isinstance(error, ToolError) else str(error)
        return cls(success=False, error_message=text, request_id=error.request_id, error=error, **payload)

    def check(self) -> Self:
        """Return this result if the call succeeded, else raise what went wrong."""
        __tracebackhide__ = True  # the line to look at is the caller's
        if not self.success:
            error = self.error or RefusedError(self.error_message, request_id=self.request_id)
            raise error.with_traceback(None) from None
        return self

    def __repr__(self) -> str:
        if self.success:
            facts = {"success": True, **self._shown()}
        else:
            # Without the hint, which would push what happened out of what pytest shows.
            text = self.error.headline if self.error else self.error_message
            facts = {"success": False, "error_message": brief(text), **self._shown_failed()}
            if self.request_id:
                facts["request_id"] = self.request_id
        return f"{type(self).__name__}({', '.join(f'{key}={value!r}' for key, value in facts.items())})"

    def _shown(self) -> dict[str, Any]:
        """What matters of a payload."""
        return {}

    def _shown_failed(self) -> dict[str, Any]:
        """What matters of a payload although the call failed."""
        return {}


@dataclass(frozen=True)
class GetSessionData:
    """A session's attributes as the service gives them."""

    session_id: str = ""
    app_instance_id: str = ""
    resource_id: str = ""
    resource_url: str = field(default="", repr=False)
    status: str = ""


@dataclass(frozen=True, repr=False)
class GetSessionResult(Result):
    """A session's attributes."""

    http_status_code: int = 0
    code: str = ""
    data: GetSessionData | None = None

    def _shown(self) -> dict[str, Any]:
        return {"data": self.data}


@dataclass(frozen=True)
class ListedSession:
    """One line of a listing."""

    session_id: str
    status: str = ""


@dataclass(frozen=True, repr=False)
class SessionListResult(Result):
    """One page of session IDs; iterating gives a :class:`ListedSession` for each."""

    session_ids: list[str] = field(default_factory=list)
    next_token: str | None = None
    max_results: int = 0
    total_count: int = 0
    sessions: list[ListedSession] = field(default_factory=list)

    def __iter__(self) -> Iterator[ListedSession]:
        return iter(self.sessions)

    def __len__(self) -> int:
        return len(self.sessions)

    def __bool__(self) -> bool:
        return True  # a result is not false for being an empty page

    def _shown(self) -> dict[str, Any]:
        return {"total_count": self.total_count, "session_ids": some(self.session_ids)}


@dataclass(frozen=True, repr=False)
class SessionStatusResult(Result):
    """A session's status, ``RUNNING`` for example."""

    http_status_code: int = 0
    code: str = ""
    status: str = ""

    def _shown(self) -> dict[str, Any]:
        return {"status": self.status}


@dataclass(frozen=True, repr=False)
class DeleteResult(Result):
    """The end of a session."""


@dataclass(frozen=True, repr=False)
class OperationResult(Result):
    """Labels, details or a link, in ``data``."""

    data: Any = None

    def _shown(self) -> dict[str, Any]:
        return {} if self.data is None else {"data": _masked(self.data)}


@dataclass(frozen=True, repr=False)
class BoolResult(Result):
    """A deed: ``data`` is true where it was done."""

    data: bool = False


@dataclass(frozen=True, repr=False)
class McpToolResult(Result):
    """A tool's output as text."""

    data: str | None = None

    def _shown(self) -> dict[str, Any]:
        return {"data": brief(self.data or "")}


@dataclass(frozen=True)
class McpTool:
    """A tool that an image offers."""

    name: str
    description: str = ""
    input_schema: Mapping[str, Any] = field(default_factory=dict, repr=False)
    server: str = ""
    tool: str = ""


@dataclass(frozen=True, repr=False)
class McpToolsResult(Result):
    """The tools that an image offers."""

    tools: list[McpTool] = field(default_factory=list)

    def _shown(self) -> dict[str, Any]:
        return {"tools": some([tool.name for tool in self.tools])}


@dataclass(frozen=True)
class SessionMetrics:
    """How busy a session is; sizes are in bytes where the name gives no unit."""

    cpu_count: int = 0
    cpu_used_pct: float = 0.0
    disk_total: int = 0
    disk_used: int = 0
    mem_total: int = 0
    mem_used: int = 0
    rx_rate_kbyte_per_s: float = 0.0
    tx_rate_kbyte_per_s: float = 0.0
    rx_used_kbyte: float = 0.0
    tx_used_kbyte: float = 0.0
    timestamp: str = ""


@dataclass(frozen=True, repr=False)
class SessionMetricsResult(Result):
    """How busy a session is."""

    metrics: SessionMetrics | None = None
    raw: dict[str, Any] = field(default_factory=dict)

    def _shown(self) -> dict[str, Any]:
        return {"metrics": self.metrics}


def brief(text: str, length: int = 150) -> str:
    """The part of ``text`` that tells most: of a traceback the last line, else beginning and end."""
    if text.startswith("Traceback "):
        text = text.strip().rpartition("\n")[2]
    if len(text) <= length:
        return text
    return f"{text[: length // 2]} ... {text[-(length // 2) :]}"


def some(items: Sequence[Any], number: int = 8) -> list[Any]:
    """The first of many items, and how many more there are."""
    return [*items[:number], f"... {len(items) - number} more"] if len(items) > number + 1 else [*items]


def _masked(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {key: "<hidden>" if key in _SECRETS else value for key, value in data.items()}
    return data.partition("?")[0] if isinstance(data, str) else data
