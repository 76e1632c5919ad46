"""Reads a call as it came. Pure."""

from __future__ import annotations

from typing import NamedTuple

from pytest_agb.client.calls import Call, Happened
from pytest_agb.client.errors import AGBError
from pytest_agb.client.tools.code_output import read_code_output
from pytest_agb.client.tools.tool_text import read_shell_output

_KINDS = {"shell": "command", "run_code": "code"}
_KINDS |= dict.fromkeys(
    (
        "create_directory",
        "delete_file",
        "edit_file",
        "get_file_info",
        "list_directory",
        "move_file",
        "read_file",
        "search_files",
        "write_file",
    ),
    "file",
)


class _Said(NamedTuple):
    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    complaint: str = ""


def read_call(happened: Happened, *, began: float = 0.0) -> Call:
    """Read a call that was made so many seconds after the beginning of its test."""
    error = happened.error if isinstance(happened.error, AGBError) else None
    said = _said(happened, error)
    complaint = said.complaint
    if error is not None:
        complaint = complaint or error.message
    elif happened.error is not None:
        complaint = f"ended by {type(happened.error).__name__} before there was an answer"
    return Call(
        session_id=happened.session_id,
        kind=_KINDS.get(happened.tool, "tool"),
        tool=happened.tool,
        args=happened.args,
        phase=happened.phase,
        began=began,
        seconds=happened.seconds,
        success=not complaint,
        exit_code=said.exit_code,
        stdout=said.stdout,
        stderr=said.stderr,
        error_message=complaint,
        error=error,
        request_id=happened.request_id or (error.request_id if error else ""),
    )


def _said(happened: Happened, error: AGBError | None) -> _Said:
    text = happened.text
    if happened.tool == "shell":
        # A command that ran into its timeout, for example, is told in the text of an error.
        shell = read_shell_output(text or "") if error is None else read_shell_output(error.message)
        if shell.plain is None:
            return _Said(shell.stdout, shell.stderr, shell.exit_code, shell.complaint)
        return _Said(shell.plain if error is None else "")
    if happened.tool == "run_code" and (happened.streamed is not None or text is not None):
        output = happened.streamed or read_code_output(text)
        displayed = [item.text for item in output.results if item.text]
        return _Said(
            "".join([*output.logs.stdout, *displayed]),
            "".join(output.logs.stderr),
            complaint=output.error_message,
        )
    return _Said(text or "")
