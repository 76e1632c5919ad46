"""Reads the text that the shell and file tools answer with. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from json import loads
from typing import Any

from pytest_agb import parse_number
from pytest_agb.client.api.json_values import whole_of


@dataclass(frozen=True)
class ShellOutput:
    """What a shell command's answer says."""

    stdout: str = ""
    stderr: str = ""
    exit_code: int | None = None
    trace_id: str = ""
    #: The whole text, where it is not in the shell tool's format.
    plain: str | None = None

    @property
    def output(self) -> str:
        """What the command printed, on both streams."""
        return self.stdout + self.stderr if self.plain is None else self.plain

    @property
    def complaint(self) -> str:
        """Why the command failed, or an empty string if it did not. The first line says most."""
        if self.exit_code in (0, None):
            return ""
        stderr = self.stderr.strip()
        last = stderr.rpartition("\n")[2].strip()
        status = f"exit status {self.exit_code}" + (f": {last}" if last else "")
        return f"{status}\n{stderr}" if "\n" in stderr else status


def read_shell_output(text: str) -> ShellOutput:
    """Read the shell tool's text, from a success or from an error."""
    try:
        payload = loads(text)
    except (ValueError, RecursionError):
        return ShellOutput(plain=text)
    if not isinstance(payload, dict) or not payload.keys() & {"stdout", "stderr", "exit_code", "errorCode"}:
        return ShellOutput(plain=text)
    stdout, stderr = payload.get("stdout", ""), payload.get("stderr", "")
    if not isinstance(stdout, str) or not isinstance(stderr, str):
        return ShellOutput(plain=text)
    return ShellOutput(
        stdout,
        stderr,
        _exit_code(payload),
        trace_id=str(payload.get("traceId") or payload.get("trace_id") or ""),
    )


def _exit_code(payload: dict[str, Any]) -> int | None:
    return whole_of(payload.get("exit_code", payload.get("errorCode", 0)))


def read_directory(text: str) -> list[dict[str, Any]]:
    """Read ``[DIR] name`` and ``[FILE] name`` lines."""
    entries = []
    for line in text.split("\n"):
        for mark, is_directory in (("[DIR]", True), ("[FILE]", False)):
            if line.lstrip().startswith(mark):
                entries.append({"name": line.lstrip()[len(mark) :].strip(), "isDirectory": is_directory})
    return entries


def read_file_info(text: str) -> dict[str, Any]:
    """Read ``key: value`` lines; booleans and numbers are converted, except for octal-looking modes."""
    info: dict[str, Any] = {}
    for line in text.splitlines():
        key, colon, value = line.partition(":")
        if colon and key.strip():
            info[key.strip()] = _value(value.strip())
    return info


def read_matches(text: str) -> list[str]:
    """Read one path per line."""
    return [] if text.strip() in ("", "No matches found") else [line for line in text.splitlines() if line]


def _value(text: str) -> Any:
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    if len(text) > 1 and text.startswith("0") and text.isdigit():
        return text  # a mode such as 0644 is no decimal number
    numbers = (whole_of(text), parse_number.decimal(text, -parse_number.MOST, parse_number.MOST))
    return next((number for number in numbers if number is not None), text)
