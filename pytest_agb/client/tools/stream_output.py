"""Reads what a streamed program says, as the official SDK 0.12.0 does. Pure."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from json import loads
from typing import TYPE_CHECKING, Any, NamedTuple

from pytest_agb.client.api.json_values import seconds_of, text_of
from pytest_agb.client.errors import ProtocolError, ToolError
from pytest_agb.client.tools.code_output import CodeOutput, displayed

if TYPE_CHECKING:
    from collections.abc import Generator

    from pytest_agb.client.tools.tool_results import ExecutionResult


class Heard(NamedTuple):
    """Something that a program did.

    ``kind`` is ``stdout`` or ``stderr`` with a text as ``value``, ``result`` with an
    :class:`~pytest_agb.client.tools.tool_results.ExecutionResult`, ``error`` (what it is, is in the output)
    or ``end``.
    """

    kind: str
    value: Any = None


@dataclass
class StreamedOutput:
    """What a streamed program said so far."""

    invocation_id: str
    output: CodeOutput = field(default_factory=CodeOutput)
    #: What went wrong in a few words, where the program's error has more.
    error_value: str = ""
    ended: bool = False

    def take(self, message: str | bytes) -> Heard | None:
        """Take a message in; return what it tells, if that is something and of this program.

        Raises:
            ProtocolError: it makes no sense.
            ToolError: the program could not be run to its end.
        """
        content = _object(message, "a message")
        sender = content.get("invocationId") or content.get("requestId")
        if sender != self.invocation_id:
            return None  # of another program, or sent to whoever listens
        data = _object(content.get("data"), "the data of a message")
        phase = data.get("phase")
        if phase == "error" or (isinstance(data.get("error"), str) and data["error"]):
            _, text = _error(data.get("error") or data)
            raise ToolError(text, request_id=self.invocation_id)
        if phase == "event":
            return self._event(data)
        if phase != "end":
            raise ProtocolError(
                f"The stream sent a message of phase {phase!r:.50}", request_id=self.invocation_id
            )
        self._end(data)
        return Heard("end")

    def heard(self, messages: Generator[str | bytes, None, None]) -> Generator[Heard, None, None]:
        """Take ``messages`` in, and give what they tell until the program ended.

        Raises:
            AGBError: as `take`, or as ``messages``.
        """
        with contextlib.closing(messages):
            for message in messages:
                if (heard := self.take(message)) is not None:
                    yield heard
                if self.ended:
                    return

    def _event(self, data: Mapping[str, Any]) -> Heard | None:
        kind = data.get("eventType")
        if kind in ("stdout", "stderr"):
            chunk = data.get("chunk")
            if not isinstance(chunk, str):
                return None
            getattr(self.output.logs, kind).append(chunk)
            return Heard(kind, chunk)
        if kind == "result":
            result = _result(data.get("result"))
            self.output.results.append(result)
            return Heard(kind, result)
        if kind == "error":
            self.output.error_name, self.error_value = _error(data.get("error") or data)
            self.output.error_message = self.error_value or self.output.error_name
            return Heard(kind)
        return None  # a later service may tell more

    def _end(self, data: Mapping[str, Any]) -> None:
        self.ended = True
        count = data.get("executionCount")
        self.output.execution_count = count if isinstance(count, int) else None
        self.output.execution_time = seconds_of(data.get("executionTime"))
        if error := text_of(data.get("executionError")):
            self.output.error_message = error
        elif data.get("status") == "failed" and not self.output.error_message:
            self.output.error_message = "The program failed; the service gives no reason"


def _result(value: Any) -> ExecutionResult:
    if not isinstance(value, Mapping):
        return displayed(str(value))
    formats = value.get("mime")
    main = bool(value.get("isMainResult") or value.get("is_main_result"))
    return displayed({**(formats if isinstance(formats, Mapping) else {}), "isMainResult": main})


def _error(payload: Any) -> tuple[str, str]:
    if not isinstance(payload, Mapping):
        return "ExecutionError", text_of(payload)
    text = payload.get("message") or payload.get("error") or payload.get("executionError")
    return text_of(payload.get("code")) or "ExecutionError", text_of(text)


def _object(value: Any, name: str) -> Mapping[str, Any]:
    if isinstance(value, (str, bytes)):
        try:
            value = loads(value)
        except (ValueError, RecursionError):
            value = None
    if not isinstance(value, dict):
        raise ProtocolError(f"The stream sent {name} that is no JSON object", maybe_executed=True)
    return value
