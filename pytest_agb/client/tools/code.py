"""``session.code``: runs programs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pytest_agb.client.errors import AGBError, ExecutionError, InvalidRequestError
from pytest_agb.client.tools.code_output import (
    CodeOutput,
    language_name,
    read_code_output,
    supported_languages,
)
from pytest_agb.client.tools.tool_results import CodeExecutionResult, ExecutionResult

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_agb.client.tools.caller import ToolCaller

OnText = Callable[[str], object]
OnResult = Callable[[ExecutionResult], object]
OnError = Callable[[AGBError], object]


class Code:
    """Runs programs in a session; what one defines, the next of the same language can use."""

    def __init__(self, tools: ToolCaller) -> None:
        self._tools = tools

    def run_code(
        self,
        code: str,
        language: str,
        timeout_s: int = 60,
        stream_beta: bool = False,
        on_stdout: OnText | None = None,
        on_stderr: OnText | None = None,
        on_error: OnError | None = None,
        *,
        on_result: OnResult | None = None,
    ) -> CodeExecutionResult:
        """Run Python, JavaScript, Java or R ``code`` for at most ``timeout_s`` seconds.

        With ``stream_beta``, the SDK's word for it, or with any callback the program streams: while it runs
        they are called, in this thread, with each piece of output, each result, and what went wrong. What
        they raise ends the call and is raised here; the program runs on. Needs the extra ``stream``.
        """
        hear = {"stdout": on_stdout, "stderr": on_stderr, "result": on_result, "error": on_error}
        try:
            name = _checked(code, language, timeout_s)
        except AGBError as error:
            return CodeExecutionResult.failed(error)
        if stream_beta or any(callback is not None for callback in hear.values()):
            return self._stream(code, name, timeout_s, hear)
        try:
            answer = self._tools.run_tool(
                "run_code", {"code": code, "language": name, "timeout_s": timeout_s}, timeout_s
            )
        except AGBError as error:
            return CodeExecutionResult.failed(error)
        return self._result(read_code_output(answer.text), answer.request_id)

    run = run_code

    def _stream(
        self, code: str, language: str, timeout_s: float, hear: Mapping[str, Callable[[Any], object] | None]
    ) -> CodeExecutionResult:
        def tell(kind: str, value: object) -> None:
            if callback := hear[kind]:
                callback(value)

        try:
            streamed, happenings = self._tools.stream_code(code, language, timeout_s)
        except AGBError as error:
            tell("error", error)
            return CodeExecutionResult.failed(error)
        output = streamed.output
        with contextlib.closing(happenings):
            while not streamed.ended:
                try:
                    heard = next(happenings)
                except AGBError as error:
                    tell("error", error)
                    return CodeExecutionResult.failed(error, logs=output.logs, results=output.results)
                # Out here: an AGBError of a callback is no failure of this call.
                if heard.kind == "error":
                    tell("error", self._error(output, streamed.invocation_id, streamed.error_value))
                elif heard.kind != "end":
                    tell(heard.kind, heard.value)
        return self._result(output, streamed.invocation_id, streamed.error_value)

    def _result(self, output: CodeOutput, request_id: str, value: str = "") -> CodeExecutionResult:
        failure = self._error(output, request_id, value) if output.error_message else None
        return CodeExecutionResult(
            success=failure is None,
            error_message=failure.message if failure else "",
            request_id=request_id,
            error=failure,
            execution_count=output.execution_count,
            execution_time=output.execution_time,
            logs=output.logs,
            results=output.results,
        )

    def _error(self, output: CodeOutput, request_id: str, value: str) -> ExecutionError:
        return ExecutionError(
            self._tools.redact(output.error_message),
            name=output.error_name,
            value=self._tools.redact(value),
            traceback=self._tools.redact(output.error_traceback),
            request_id=request_id,
        )


def _checked(code: object, language: object, timeout_s: object) -> str:
    name = language_name(language)
    if name is None:
        raise InvalidRequestError(
            f"Unsupported language: {language}. Supported languages are {supported_languages()}"
        )
    if not isinstance(code, str):
        raise InvalidRequestError(f"code must be a string, not {code!r}")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or not 0 < timeout_s < math.inf:
        raise InvalidRequestError(f"timeout_s must be seconds, more than 0, not {timeout_s!r}")
    return name
