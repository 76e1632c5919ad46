"""``session.code``: runs programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.client.code_output import language_name, read_code_output, supported_languages
from pytest_agb.client.errors import AGBError, ExecutionError, InvalidRequestError
from pytest_agb.client.tool_results import CodeExecutionResult

if TYPE_CHECKING:
    from pytest_agb.client.tools import ToolRunner


class Code:
    """Runs programs in a session; what one defines, the next of the same language can use."""

    def __init__(self, tools: ToolRunner) -> None:
        self._tools = tools

    def run_code(self, code: str, language: str, timeout_s: int = 60) -> CodeExecutionResult:
        """Run Python, JavaScript, Java or R ``code`` for at most ``timeout_s`` seconds."""
        try:
            name = _checked(code, language, timeout_s)
            answer = self._tools.run_tool(
                "run_code", {"code": code, "language": name, "timeout_s": timeout_s}, timeout_s
            )
        except AGBError as error:
            return CodeExecutionResult.failed(error)
        output = read_code_output(answer.text)
        failure: ExecutionError | None = None
        if output.error_message:
            failure = ExecutionError(
                self._tools.redact(output.error_message),
                name=output.error_name,
                traceback=self._tools.redact(output.error_traceback),
                request_id=answer.request_id,
            )
        return CodeExecutionResult(
            success=failure is None,
            error_message=failure.message if failure else "",
            request_id=answer.request_id,
            error=failure,
            execution_count=output.execution_count,
            execution_time=output.execution_time,
            logs=output.logs,
            results=output.results,
        )

    run = run_code


def _checked(code: object, language: object, timeout_s: object) -> str:
    name = language_name(language)
    if name is None:
        raise InvalidRequestError(
            f"Unsupported language: {language}. Supported languages are {supported_languages()}"
        )
    if not isinstance(code, str):
        raise InvalidRequestError(f"code must be a string, not {code!r}")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, (int, float)) or not timeout_s > 0:
        raise InvalidRequestError(f"timeout_s must be seconds, more than 0, not {timeout_s!r}")
    return name
