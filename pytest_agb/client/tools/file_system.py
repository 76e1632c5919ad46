"""``session.file_system``: reads, writes and arranges files."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, overload

from pytest_agb.client.errors import AGBError, InvalidRequestError, ToolError
from pytest_agb.client.results import BoolResult
from pytest_agb.client.tools.tool_results import (
    BinaryFileContentResult,
    DirectoryListResult,
    FileContentResult,
    FileInfoResult,
    FileSearchResult,
    MultipleFileContentResult,
)
from pytest_agb.client.tools.tool_text import read_directory, read_file_info, read_matches

if TYPE_CHECKING:
    from pytest_agb.client.tools.caller import ToolCaller, ToolOutput

#: Bytes per read and characters per write, as the official SDK has it.
CHUNK = 51_200
_MODES = ("overwrite", "append", "create_new")


class FileSystem:
    """The files of a session. Every method has the guide's name and the current SDK's."""

    def __init__(self, tools: ToolCaller) -> None:
        self._tools = tools

    @overload
    def read_file(self, path: str, format: Literal["text"] = "text") -> FileContentResult: ...
    @overload
    def read_file(self, path: str, format: Literal["bytes"]) -> BinaryFileContentResult: ...
    def read_file(self, path: str, format: str = "text") -> FileContentResult | BinaryFileContentResult:
        """Read a file as UTF-8 text or, with ``format="bytes"``, as bytes."""
        kind = BinaryFileContentResult if format == "bytes" else FileContentResult
        try:
            if format not in ("text", "bytes"):
                raise InvalidRequestError(f"format must be 'text' or 'bytes', not {format!r}")
            _require_path(path)
            with self._tools.observed("read_file", {"path": path, "format": format}) as call:
                content, request_id = self._bytes_of(path)
                call.answered(None, request_id)
                if format == "bytes":
                    return BinaryFileContentResult(True, "", request_id, content=content, size=len(content))
                return FileContentResult(True, "", request_id, content=_decoded(path, content, request_id))
        except AGBError as error:
            return kind.failed(error)

    def write_file(self, path: str, content: str | bytes, mode: str = "overwrite") -> BoolResult:
        """Write text, or bytes of UTF-8 text; ``mode`` is ``overwrite``, ``append`` or ``create_new``."""
        written = 0
        try:
            _require_path(path)
            if mode not in _MODES:
                raise InvalidRequestError(f"Invalid write mode: {mode}. Must be one of {', '.join(_MODES)}")
            text = _writable(content)
            with self._tools.observed("write_file", {"path": path, "content": text, "mode": mode}) as call:
                while True:
                    chunk = text[written : written + CHUNK]
                    answer = self._tools.run_part(
                        "write_file", {"path": path, "content": chunk, "mode": mode}
                    )
                    written += len(chunk)
                    mode = "append"
                    if written >= len(text):
                        call.answered(answer.text, answer.request_id)
                        return BoolResult(True, "", answer.request_id, data=True)
        except AGBError as error:
            if written:
                error.hint = f"{path} holds the first {written:,} characters only. {error.hint}".rstrip()
            return BoolResult.failed(error)

    def list_directory(self, path: str) -> DirectoryListResult:
        """List a directory's entries."""
        try:
            answer = self._run("list_directory", path)
        except AGBError as error:
            return DirectoryListResult.failed(error)
        return DirectoryListResult(True, "", answer.request_id, entries=read_directory(answer.text or ""))

    def get_file_info(self, path: str) -> FileInfoResult:
        """Get a file's size, and whether it is a directory."""
        try:
            answer = self._run("get_file_info", path)
        except AGBError as error:
            return FileInfoResult.failed(error)
        return FileInfoResult(True, "", answer.request_id, file_info=read_file_info(answer.text or ""))

    def create_directory(self, path: str) -> BoolResult:
        """Make a directory, and those above it."""
        return self._do("create_directory", path)

    def delete_file(self, path: str) -> BoolResult:
        """Remove a file."""
        return self._do("delete_file", path)

    def move_file(self, source: str, destination: str) -> BoolResult:
        """Move or rename a file or directory."""
        try:
            _require_path(source)
            _require_path(destination)
            answer = self._tools.run_tool("move_file", {"source": source, "destination": destination})
        except AGBError as error:
            return BoolResult.failed(error)
        return BoolResult(True, "", answer.request_id, data=True)

    def edit_file(self, path: str, edits: Iterable[Mapping[str, str]], dry_run: bool = False) -> BoolResult:
        """Replace text in a file; each edit has ``oldText`` and ``newText``."""
        try:
            checked = [_edit(edit) for edit in edits]
        except InvalidRequestError as error:
            return BoolResult.failed(error)
        return self._do("edit_file", path, edits=checked, dryRun=dry_run)

    def search_files(
        self, path: str, pattern: str, exclude_patterns: Iterable[str] | None = None
    ) -> FileSearchResult:
        """Find files below ``path`` by a pattern such as ``*.txt``."""
        excluded = list(exclude_patterns or ())
        more: dict[str, Any] = {"excludePatterns": excluded} if excluded else {}
        try:
            answer = self._run("search_files", path, pattern=pattern, **more)
        except AGBError as error:
            return FileSearchResult.failed(error)
        return FileSearchResult(True, "", answer.request_id, matches=read_matches(answer.text or ""))

    def read_multiple_files(self, paths: Iterable[str]) -> MultipleFileContentResult:
        """Read several text files; where one can't be read, ``contents`` has the others.

        The service's tool for this strips blanks and stumbles over ``---`` lines, so each is read by itself.
        """
        contents: dict[str, str] = {}
        first: AGBError | None = None
        request_id = ""
        for path in paths:
            result = self.read_file(path)
            if result.success:
                contents[path], request_id = result.content, result.request_id
            else:
                first = first or result.error
        if first is not None:
            return MultipleFileContentResult.failed(first, contents=contents)
        return MultipleFileContentResult(True, "", request_id, contents=contents)

    read = read_file
    write = write_file
    list = list_directory
    info = get_file_info
    mkdir = create_directory
    remove = delete_file
    move = move_file
    edit = edit_file
    search = search_files
    read_batch = read_multiple_files

    def _do(self, tool: str, path: str, **args: Any) -> BoolResult:
        try:
            answer = self._run(tool, path, **args)
        except AGBError as error:
            return BoolResult.failed(error)
        return BoolResult(True, "", answer.request_id, data=True)

    def _run(self, tool: str, path: str, **args: Any) -> ToolOutput:
        _require_path(path)
        return self._tools.run_tool(tool, {"path": path, **args})

    def _bytes_of(self, path: str) -> tuple[bytes, str]:
        """Read a whole file. Always as bytes: a border between two text chunks may cut a character in two."""
        answer = self._tools.run_part("get_file_info", {"path": path})
        info = read_file_info(answer.text or "")
        if not info or info.get("isDirectory") is True:
            raise ToolError(f"Path does not exist or is a directory: {path}", request_id=answer.request_id)
        size = info.get("size")
        size = size if isinstance(size, int) else 0
        parts: list[bytes] = []
        offset = 0
        while offset < size:
            length = min(CHUNK, size - offset)
            piece = {"path": path, "offset": offset, "length": length, "format": "binary"}
            answer = self._tools.run_part("read_file", piece)
            part = _from_base64(path, answer)
            if not part:
                break  # it was cut short meanwhile
            parts.append(part)
            offset += len(part)
        return b"".join(parts), answer.request_id


def _require_path(path: object) -> None:
    if not isinstance(path, str) or not path:
        raise InvalidRequestError(f"a path must be a non-empty string, not {path!r}")


def _writable(content: object) -> str:
    try:
        if isinstance(content, (bytes, bytearray)):
            return content.decode("utf-8")
        if isinstance(content, str):
            content.encode("utf-8")
            return content
    except UnicodeError as error:
        raise InvalidRequestError(
            f"The content can't be written: the service takes UTF-8 text only, and {error}",
            hint="Write the base64 of binary data, and decode it in the session",
        ) from None
    raise InvalidRequestError(f"content must be str, or bytes of UTF-8 text, not {type(content).__name__}")


def _edit(edit: object) -> dict[str, str]:
    if isinstance(edit, Mapping) and all(isinstance(edit.get(key), str) for key in ("oldText", "newText")):
        return {"oldText": edit["oldText"], "newText": edit["newText"]}
    raise InvalidRequestError(f"an edit must be {{'oldText': ..., 'newText': ...}}, not {edit!r}")


def _decoded(path: str, content: bytes, request_id: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ToolError(
            f"{path} is not UTF-8 text: byte 0x{content[error.start]:02x} at {error.start}; "
            "read it with format='bytes'",
            request_id=request_id,
        ) from None


def _from_base64(path: str, answer: ToolOutput) -> bytes:
    try:
        return base64.b64decode("".join((answer.text or "").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ToolError(f"Failed to decode base64 of {path}: {error}", request_id=answer.request_id) from None
