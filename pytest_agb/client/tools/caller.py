"""What the session's modules share: a way to run a tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from pytest_agb.client.tools.stream_output import Heard, StreamedOutput


class ToolOutput(NamedTuple):
    """What a tool answered."""

    text: str | None
    request_id: str


class ToolRunner(Protocol):
    """Runs tools in one session."""

    def run_tool(self, name: str, args: Mapping[str, Any], tool_timeout_seconds: float = 0) -> ToolOutput:
        """Run a tool, and raise an :class:`~pytest_agb.client.errors.AGBError` if that fails."""

    def stream_code(
        self, code: str, language: str, timeout_s: float
    ) -> tuple[StreamedOutput, Generator[Heard, None, None]]:
        """Have a program streamed: what it said so far, and what gives that and must be closed.

        Both may raise an :class:`~pytest_agb.client.errors.AGBError`.
        """

    def redact(self, text: str) -> str:
        """Blot the API key out of a text."""
