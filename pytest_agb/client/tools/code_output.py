"""Reads the text that ``run_code`` answers with, in each of the formats the official SDK accepts. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from json import dumps, loads
from typing import Any

from pytest_agb.client.api.json_values import seconds_of
from pytest_agb.client.tools.tool_results import ExecutionLogs, ExecutionResult

_ALIASES = {
    "python": ("py", "python3"),
    "javascript": ("js", "node", "nodejs"),
    "java": (),
    "r": (),
}
_LANGUAGES = {alias: name for name, aliases in _ALIASES.items() for alias in (name, *aliases)}

#: Where a display's formats are found, the MIME type first.
_FORMATS = {
    "text": ("text/plain", "text"),
    "html": ("text/html", "html"),
    "markdown": ("text/markdown", "markdown"),
    "png": ("image/png", "png"),
    "jpeg": ("image/jpeg", "jpeg"),
    "svg": ("image/svg+xml", "svg"),
    "json": ("application/json", "json"),
    "latex": ("text/latex", "latex"),
    "chart": ("application/vnd.vegalite.v5+json", "application/vnd.vegalite.v4+json", "chart"),
}


def language_name(language: object) -> str | None:
    """The service's name of a language, or ``None`` if it runs no such language."""
    return _LANGUAGES.get(language.strip().lower()) if isinstance(language, str) else None


def supported_languages() -> str:
    """The languages, for a message."""
    return ", ".join(sorted(_ALIASES))


@dataclass
class CodeOutput:
    """What a program's answer says."""

    logs: ExecutionLogs = field(default_factory=ExecutionLogs)
    results: list[ExecutionResult] = field(default_factory=list)
    execution_count: int | None = None
    execution_time: float = 0.0
    #: Empty where the program ended well.
    error_message: str = ""
    error_name: str = ""
    error_traceback: str = ""


def read_code_output(text: str | None) -> CodeOutput:
    """Read an answer's text."""
    if not text:
        return CodeOutput(error_message="No data returned")
    payload = _load(text)
    if not isinstance(payload, dict):
        return CodeOutput(logs=ExecutionLogs(stdout=[text]), results=[_main(text)])
    if payload.get("isError"):
        return CodeOutput(error_message="Error in response: " + "; ".join(_content_texts(payload)))
    if isinstance(payload.get("result"), list):
        return _current(payload)
    if "logs" in payload or "results" in payload:
        return _rich(payload)
    if texts := _content_texts(payload):
        inner = _load(texts[0])
        if isinstance(inner, dict) and ("result" in inner or "executionError" in inner):
            return _current(inner)
        return CodeOutput(results=[_main(texts[0])])
    if payload.get("executionError"):
        return _current(payload)
    return CodeOutput(results=[_main(str(payload))])


def _current(payload: Mapping[str, Any]) -> CodeOutput:
    items = payload.get("result")
    output = CodeOutput(
        logs=_logs(payload),
        results=[
            displayed(item) for item in (items if isinstance(items, list) else [items] if items else [])
        ],
        execution_count=payload.get("execution_count"),
        execution_time=seconds_of(payload.get("execution_time")),
    )
    _note_error(output, payload.get("executionError"))
    return output


def _rich(payload: Mapping[str, Any]) -> CodeOutput:
    logs = payload.get("logs")
    items = payload.get("results")
    output = CodeOutput(
        logs=_logs(logs if isinstance(logs, Mapping) else {}),
        results=[displayed(item) for item in (items if isinstance(items, list) else [])],
        execution_count=payload.get("execution_count"),
        execution_time=seconds_of(payload.get("execution_time")),
    )
    _note_error(output, payload.get("error") or payload.get("executionError"))
    return output


def _note_error(output: CodeOutput, error: Any) -> None:
    if isinstance(error, Mapping):
        output.error_name = str(error.get("name") or "")
        output.error_traceback = str(error.get("traceback") or "")
        value = str(error.get("value") or "")
        output.error_message = ": ".join(part for part in (output.error_name, value) if part) or str(error)
    elif error:
        output.error_message = str(error)


def displayed(item: Any) -> ExecutionResult:
    """Read one thing that a program displayed."""
    for _ in range(2):  # an object, a JSON string of one, or a JSON string of that
        if isinstance(item, str):
            loaded = _load(item)
            item = loaded if isinstance(loaded, (dict, str)) else item
    if not isinstance(item, Mapping):
        return ExecutionResult(text=item if isinstance(item, str) else dumps(item))
    formats = {
        name: next((item[key] for key in keys if item.get(key) is not None), None)
        for name, keys in _FORMATS.items()
    }
    if formats["text"] is not None and not isinstance(formats["text"], str):
        formats["text"] = str(formats["text"])
    return ExecutionResult(
        **formats, is_main_result=bool(item.get("isMainResult") or item.get("is_main_result"))
    )


def _logs(payload: Mapping[str, Any]) -> ExecutionLogs:
    return ExecutionLogs(stdout=_lines(payload.get("stdout")), stderr=_lines(payload.get("stderr")))


def _lines(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value] if value else []
    return [str(item) for item in value] if isinstance(value, list) else []


def _content_texts(payload: Mapping[str, Any]) -> list[str]:
    content = payload.get("content")
    items = content if isinstance(content, list) else []
    return [str(item["text"]) for item in items if isinstance(item, Mapping) and item.get("text")]


def _main(text: str) -> ExecutionResult:
    return ExecutionResult(text=text, is_main_result=True)


def _load(text: str) -> Any:
    try:
        return loads(text)
    except (ValueError, RecursionError):
        return None
