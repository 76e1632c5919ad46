"""The file tools, as the agent answers them.

Text formats are the service's (agbcloud-sdk 0.12 parses them). Where it documents no rule, ours is:
relative paths start at the home directory, a parent that does not exist is an error (`create_directory`
makes it, with its parents), a move never overwrites.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH108, PTH112, PTH114, PTH116, PTH118, PTH119, PTH120

from __future__ import annotations

import base64
import os
import shutil
import stat
import time
from typing import IO, TYPE_CHECKING, Any

from pytest_agb.local import tree
from pytest_agb.local.agent import search
from pytest_agb.local.agent.paths import FileToolError, errors, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from pytest_agb.local.agent.paths import Place

#: Bytes that one `read_file` returns at most; a client reads large files in pieces.
MAX_READ_BYTES = 64 * 1024 * 1024
#: Characters of a text whose differences are worked out: the effort grows faster than the text.
_MAX_DIFFERENCE = 256 * 1024


def _open_regular(real: str, path: str, flags: int) -> int:
    """Open a regular file; a pipe or device would make the whole session wait."""
    descriptor = os.open(real, flags | os.O_NONBLOCK | os.O_CLOEXEC, 0o644)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return descriptor
    os.close(descriptor)
    if stat.S_ISDIR(mode):
        raise FileToolError(f"is a directory: {path}")
    raise FileToolError(f"not a regular file: {path}")


def get_file_info(place: Place, arguments: dict[str, Any]) -> str:
    """Describe a file or directory as ``key: value`` lines."""
    path = arguments["path"]
    with errors(path):
        info = os.stat(place.resolve(path))
    directory = stat.S_ISDIR(info.st_mode)
    return "\n".join(
        [
            f"name: {os.path.basename(path.rstrip('/')) or '/'}",
            f"path: {path}",
            f"size: {0 if directory else info.st_size}",
            f"type: {'directory' if directory else 'file'}",
            f"isDirectory: {'true' if directory else 'false'}",
            f"modified: {_time(info.st_mtime)}",
            f"accessed: {_time(info.st_atime)}",
            f"mode: {stat.S_IMODE(info.st_mode):04o}",
            f"permissions: {stat.filemode(info.st_mode)}",
            f"owner: {info.st_uid}",
            f"group: {info.st_gid}",
        ]
    )


def _time(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def read_file(place: Place, arguments: dict[str, Any]) -> str:
    """Read bytes ``offset`` to ``offset + length``: as text, or as base64 with ``format: binary``."""
    path, offset, length = arguments["path"], arguments["offset"], arguments["length"]
    with errors(path):
        descriptor = _open_regular(place.resolve(path), path, os.O_RDONLY)
        try:
            size = os.fstat(descriptor).st_size
            wanted = length if length is not None else max(0, size - offset)
            if wanted > MAX_READ_BYTES:
                if size - offset > MAX_READ_BYTES:
                    raise FileToolError(
                        f"more than {MAX_READ_BYTES} bytes at once: {path} (use offset and length)"
                    )
                wanted = MAX_READ_BYTES
            # /proc's files have size 0 and content all the same.
            data = _read_exactly(descriptor, offset, wanted or (0 if size else 1 << 20))
            if arguments["format"] == "binary":
                return base64.b64encode(data).decode("ascii")
            if data:
                data = _whole_characters(descriptor, offset, data)
        finally:
            os.close(descriptor)
    return data.decode("utf-8", "replace")


def _read_exactly(descriptor: int, offset: int, length: int) -> bytes:
    pieces = []
    while length > 0:
        piece = os.pread(descriptor, length, offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return b"".join(pieces)


def _whole_characters(descriptor: int, offset: int, data: bytes) -> bytes:
    """Complete a UTF-8 character that the slice's end cuts, leave out one that its start cuts.

    The clients join the texts of 51,200-byte slices, so each character must be in exactly one of them.
    """
    end = offset + len(data)
    lead = len(data) - 1
    while lead > max(0, len(data) - 4) and data[lead] & 0xC0 == 0x80:
        lead -= 1
    first = data[lead]
    expected = 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2 if first >= 0xC0 else 1
    missing = expected - (len(data) - lead)
    if missing > 0:
        rest = _read_exactly(descriptor, end, missing)
        for position, byte in enumerate(rest):
            if byte & 0xC0 != 0x80:
                rest = rest[:position]
                break
        data += rest
    if offset > 0:
        skip = 0
        while skip < 3 and skip < len(data) and data[skip] & 0xC0 == 0x80:
            skip += 1
        # Only what continues a character that starts before the slice; stray bytes are the file's own.
        before = _read_exactly(descriptor, max(0, offset - 3), min(3, offset))
        if skip and any(byte >= 0xC0 for byte in before):
            data = data[skip:]
    return data


def write_file(place: Place, arguments: dict[str, Any]) -> str:
    """Write text: ``overwrite``, ``append``, or ``create_new`` (which fails if there is such a file)."""
    path, mode = arguments["path"], arguments["mode"]
    data = arguments["content"].encode("utf-8", "surrogatepass")
    flags = {"overwrite": os.O_TRUNC, "append": os.O_APPEND, "create_new": os.O_EXCL}[mode]
    if place.is_full():
        raise FileToolError(f"no space left in the sandbox: {path}")
    real = place.resolve(path)
    parent = os.path.dirname(real.rstrip("/"))
    if not os.path.isdir(parent):
        raise FileToolError(f"parent directory not found: {path} (make it with create_directory)")
    with errors(path):
        descriptor = _open_regular(real, path, os.O_WRONLY | os.O_CREAT | flags)
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(descriptor, view) :]
        finally:
            os.close(descriptor)
    return f"wrote {len(data)} bytes to {path}"


def list_directory(place: Place, arguments: dict[str, Any]) -> str:
    """List a directory, hidden entries included, sorted by name."""
    path = arguments["path"]
    with errors(path), os.scandir(place.resolve(path)) as entries:
        found = sorted((entry.name, entry.is_dir()) for entry in entries)
    return "\n".join(f"[{'DIR' if directory else 'FILE'}] {shown(name)}" for name, directory in found)


def create_directory(place: Place, arguments: dict[str, Any]) -> str:
    """Make a directory and its parents; one that is there already is fine."""
    path = arguments["path"]
    with errors(path):
        tree.make_directories(place.resolve(path, making=True))
    return f"created directory {path}"


def delete_file(place: Place, arguments: dict[str, Any]) -> str:
    """Delete a file or a link, never a directory."""
    path = arguments["path"]
    real = place.resolve(path, follow=False)
    if os.path.isdir(real) and not os.path.islink(real):
        raise FileToolError(f"is a directory, not a file: {path}")
    with errors(path):
        os.unlink(real)
    return f"deleted {path}"


def move_file(place: Place, arguments: dict[str, Any]) -> str:
    """Move or rename; into ``destination`` if that is a directory. Never overwrites."""
    source, destination = arguments["source"], arguments["destination"]
    real_source = place.resolve(source, follow=False)
    real_destination = place.resolve(destination)
    if not os.path.lexists(real_source):
        raise FileToolError(f"not found: {source}")
    if os.path.isdir(real_destination):
        real_destination = os.path.join(real_destination, os.path.basename(real_source.rstrip("/")))
    if os.path.lexists(real_destination):
        raise FileToolError(f"already exists: {destination}")
    if not os.path.isdir(os.path.dirname(real_destination)):
        raise FileToolError(f"parent directory not found: {destination} (make it with create_directory)")
    with errors(f"{source} -> {destination}"):
        try:
            shutil.move(real_source, real_destination)
        except shutil.Error as error:
            raise FileToolError(f"{error}") from error
        except RecursionError as error:  # from one file system to another it copies
            raise FileToolError(f"too many directories in each other: {source}") from error
    return f"moved {source} to {destination}"


def edit_file(place: Place, arguments: dict[str, Any]) -> str:
    """Replace the first occurrence of each ``oldText``; all or nothing. Returns the differences."""
    path, dry_run = arguments["path"], arguments["dryRun"]
    with errors(path):
        descriptor = _open_regular(place.resolve(path), path, os.O_RDONLY if dry_run else os.O_RDWR)
        with os.fdopen(descriptor, "rb" if dry_run else "r+b") as file:
            if os.fstat(descriptor).st_size > MAX_READ_BYTES:
                raise FileToolError(f"more than {MAX_READ_BYTES} bytes, too large to edit: {path}")
            try:
                before = after = file.read().decode("utf-8")
            except UnicodeDecodeError as error:
                raise FileToolError(f"not a text file: {path}") from error
            for edit in arguments["edits"]:
                if edit["oldText"] not in after:
                    raise FileToolError(
                        f"text not found in {path}, nothing was changed: {edit['oldText'][:200]!r}"
                    )
                after = after.replace(edit["oldText"], edit["newText"], 1)
            if not dry_run and after != before:
                _overwrite(file, after.encode("utf-8", "surrogatepass"))
    return _difference(before, after, path)


def _overwrite(file: IO[bytes], data: bytes) -> None:
    """Put ``data`` in place of what ``file`` holds; where there is no space for it nothing changes."""
    if data and hasattr(os, "posix_fallocate"):  # macOS has none
        os.posix_fallocate(file.fileno(), 0, len(data))
    file.seek(0)
    file.write(data)
    file.truncate()


def _difference(before: str, after: str, path: str) -> str:
    import difflib

    if before == after:
        return "no difference"
    if len(before) + len(after) > _MAX_DIFFERENCE:
        return f"changed {path}; it is too large to show the difference"
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), path, path, lineterm="")
    return "\n".join(lines)


def read_multiple_files(place: Place, arguments: dict[str, Any]) -> str:
    """Read several text files into one text, separated by ``---``; one that can't be read says why."""
    parts, room = [], MAX_READ_BYTES
    for path in arguments["paths"]:
        try:
            text = read_file(place, {"path": path, "offset": 0, "length": None, "format": "text"})
            if len(text) > room:
                raise FileToolError(f"more than {MAX_READ_BYTES} bytes at once, read it on its own: {path}")
            room -= len(text)
        except FileToolError as error:
            text = f"Error: {error}"
        parts.append(f"{path}:\n{text}\n")
    return "\n---\n".join(parts)


def search_files(place: Place, arguments: dict[str, Any]) -> str:
    """Find paths below ``path`` by glob, see `search.find`."""
    path = arguments["path"]
    real = place.resolve(path)
    with errors(path):
        os.close(os.open(real, os.O_RDONLY | os.O_DIRECTORY))
    base = path.rstrip("/") or ""
    found = search.find(real, arguments["pattern"], arguments["excludePatterns"])
    return "\n".join(f"{base}/{shown(name)}" for name in found) or "No matches found"


TOOLS: dict[str, Callable[[Place, dict[str, Any]], str]] = {
    tool.__name__: tool
    for tool in (
        get_file_info, read_file, write_file, list_directory, create_directory, delete_file, move_file,
        edit_file, read_multiple_files, search_files,
    )
}  # fmt: skip
