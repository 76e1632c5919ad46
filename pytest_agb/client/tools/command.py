"""``session.command``: runs shell commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_agb.client.api.messages import redact_envs
from pytest_agb.client.errors import AGBError, CommandFailed, InvalidRequestError, ToolError
from pytest_agb.client.tools.tool_results import CommandResult
from pytest_agb.client.tools.tool_text import ShellOutput, read_shell_output

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_agb.client.tools.caller import ToolCaller

#: Characters that an error has of a command's last line, and of all that it said.
_MOST = 1000


class Command:
    """Runs shell commands in a session, each in a shell of its own."""

    def __init__(self, tools: ToolCaller) -> None:
        self._tools = tools

    def execute_command(
        self,
        command: str,
        timeout_ms: int = 1000,
        cwd: str | None = None,
        envs: Mapping[str, str] | None = None,
    ) -> CommandResult:
        """Run ``command`` for at most ``timeout_ms`` milliseconds, in ``cwd``, with ``envs`` added."""
        try:
            args = _arguments(command, timeout_ms, cwd, envs)
            answer = self._tools.run_tool("shell", args, timeout_ms / 1000)
        except ToolError as error:
            return self._tool_failed(error, envs)
        except AGBError as error:
            return CommandResult.failed(error)
        output = read_shell_output(answer.text or "")
        if output.complaint:
            return self._failed(output, output.complaint, answer.request_id, envs)
        return CommandResult(
            success=True,
            request_id=answer.request_id,
            output=output.output,
            exit_code=output.exit_code,
            stdout=output.stdout,
            stderr=output.stderr,
            trace_id=output.trace_id,
        )

    execute = execute_command

    def _tool_failed(self, error: ToolError, envs: Mapping[str, str] | None) -> CommandResult:
        output = read_shell_output(error.message)
        if output.plain is not None:
            return CommandResult.failed(error)
        complaint = output.complaint or output.stderr.strip() or error.message
        return self._failed(output, complaint, error.request_id, envs)

    def _failed(
        self, output: ShellOutput, complaint: str, request_id: str, envs: Mapping[str, str] | None
    ) -> CommandResult:
        # Values may be secrets, and an error is shown where what a command printed is not.
        message = _cut(self._tools.redact(redact_envs(complaint, envs)))
        return CommandResult.failed(
            CommandFailed(message, request_id=request_id),
            output=output.output,
            exit_code=output.exit_code,
            stdout=output.stdout,
            stderr=output.stderr,
            trace_id=output.trace_id,
        )


def _cut(complaint: str) -> str:
    """Leave the beginning of the first line, and the end of the others. Half a secret would not be found."""
    first, newline, more = complaint.partition("\n")
    return f"{first[:_MOST]}{newline}{more[-_MOST:]}"


def _arguments(
    command: object, timeout_ms: object, cwd: object, envs: Mapping[str, str] | None
) -> dict[str, Any]:
    if not isinstance(command, str):
        raise InvalidRequestError(f"command must be a string, not {command!r}")
    if isinstance(timeout_ms, bool) or not isinstance(timeout_ms, int) or timeout_ms < 1:
        raise InvalidRequestError(f"timeout_ms must be whole milliseconds, at least 1, not {timeout_ms!r}")
    args: dict[str, Any] = {"command": command, "timeout_ms": timeout_ms}
    if cwd is not None:
        args["cwd"] = str(cwd)
    if envs:
        # Values may be secrets: a message names the variable only.
        wrong = [
            str(key) for key, value in envs.items() if not (isinstance(key, str) and isinstance(value, str))
        ]
        if wrong:
            raise InvalidRequestError(
                f"Invalid environment variables: all keys and values must be strings. "
                f"Found invalid entries: {', '.join(wrong)}"
            )
        args["envs"] = dict(envs)
    return args
