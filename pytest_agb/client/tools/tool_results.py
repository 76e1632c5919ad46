"""What the session's modules return, under the guide's and the SDK's names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pytest_agb.client.results import Result, brief, some


@dataclass(frozen=True, repr=False)
class CommandResult(Result):
    """A shell command's end; ``exit_code`` is ``None`` where it never ran."""

    output: str = ""
    exit_code: int | None = None
    stdout: str = ""
    stderr: str = ""
    trace_id: str = ""

    def _shown(self) -> dict[str, Any]:
        return {"output": brief(self.output), "exit_code": self.exit_code}

    def _shown_failed(self) -> dict[str, Any]:
        return {"exit_code": self.exit_code}


@dataclass(frozen=True)
class ExecutionLogs:
    """What a program printed."""

    stdout: list[str] = field(default_factory=list)
    stderr: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class ExecutionResult:
    """One thing that a program displayed, in all the formats it came in."""

    text: str | None = None
    html: str | None = None
    markdown: str | None = None
    png: str | None = field(default=None, repr=False)
    jpeg: str | None = field(default=None, repr=False)
    svg: str | None = field(default=None, repr=False)
    json: Any = None
    latex: str | None = None
    chart: Any = field(default=None, repr=False)
    is_main_result: bool = False


@dataclass(frozen=True, repr=False)
class CodeExecutionResult(Result):
    """A program's end. ``error`` has, like the SDK's, a ``name``, a ``value`` and a ``traceback``."""

    execution_count: int | None = None
    execution_time: float = 0.0
    logs: ExecutionLogs = field(default_factory=ExecutionLogs)
    results: list[ExecutionResult] = field(default_factory=list)

    @property
    def result(self) -> str:
        """The main result's text, else the first text, else what was printed."""
        texts = [item.text for item in self.results if item.is_main_result and item.text]
        texts += [item.text for item in self.results if item.text]
        return texts[0] if texts else "".join(self.logs.stdout)

    def _shown(self) -> dict[str, Any]:
        return {"result": brief(self.result)}

    def _shown_failed(self) -> dict[str, Any]:
        printed = "".join(self.logs.stderr).strip()
        return {"stderr": brief(printed, 80)} if printed and printed not in self.error_message else {}


@dataclass(frozen=True, repr=False)
class FileContentResult(Result):
    """A file's text."""

    content: str = ""

    def _shown(self) -> dict[str, Any]:
        return {"content": brief(self.content)}


@dataclass(frozen=True, repr=False)
class BinaryFileContentResult(Result):
    """A file's bytes."""

    content: bytes = b""
    size: int = 0

    def _shown(self) -> dict[str, Any]:
        return {"size": self.size}


@dataclass(frozen=True, repr=False)
class FileInfoResult(Result):
    """A file's ``size``, ``isDirectory`` and whatever else the service tells."""

    file_info: dict[str, Any] = field(default_factory=dict)

    def _shown(self) -> dict[str, Any]:
        return {"file_info": self.file_info}


@dataclass(frozen=True, repr=False)
class DirectoryListResult(Result):
    """A directory's entries, each with ``name`` and ``isDirectory``."""

    entries: list[dict[str, Any]] = field(default_factory=list)

    def _shown(self) -> dict[str, Any]:
        return {"entries": some(self.entries)}


@dataclass(frozen=True, repr=False)
class MultipleFileContentResult(Result):
    """Several files' texts by path."""

    contents: dict[str, str] = field(default_factory=dict)

    def _shown(self) -> dict[str, Any]:
        return {"contents": {path: brief(text, 60) for path, text in self.contents.items()}}


@dataclass(frozen=True, repr=False)
class FileSearchResult(Result):
    """The paths that a search found."""

    matches: list[str] = field(default_factory=list)

    def _shown(self) -> dict[str, Any]:
        return {"matches": some(self.matches)}
