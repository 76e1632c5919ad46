"""Archives in contexts: ZIP files that are unpacked in sessions, or hold what a session uploaded."""

from __future__ import annotations

import asyncio
import calendar
import stat
import time
import zipfile
import zlib
from typing import IO, TYPE_CHECKING

from pytest_agb.local.contexts.files import ContextFileError, clean

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pytest_agb.local.sessions.sandbox_files import Found, SandboxFiles

#: Bytes that one archive may unpack to.
MAX_UNPACKED_BYTES = 8 * 1024**3
#: By this an archive that we made is known. It goes back to where it came from.
_OURS = b"uploaded as an archive"
#: What ZIP can say of a time begins here.
_EARLIEST = (1980, 1, 1, 0, 0, 0)


class ArchiveError(ValueError):
    """An archive can't be unpacked; the message says why."""


def is_archive(name: str) -> bool:
    """Return whether a file is one by its name."""
    return name.lower().endswith(".zip")


def is_ours(file: IO[bytes]) -> bool:
    """Return whether `pack` made the archive."""
    try:
        with zipfile.ZipFile(file) as archive:
            return archive.comment == _OURS
    except zipfile.BadZipFile:
        return False


async def pack(files: SandboxFiles, directory: str, names: dict[str, Found], target: IO[bytes]) -> None:
    """Write an archive of these files, which are below ``directory``, to ``target``.

    Raises:
        ArchiveError: a name is no UTF-8, so no archive can hold it.
        sandbox_files.SandboxFileError: a file can't be read.
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = _OURS
        for name, found in sorted(names.items()):
            if name != name.encode("utf-8", "replace").decode():
                raise ArchiveError(f"no archive can hold a file of this name: {name!a}")
            info = zipfile.ZipInfo(name, max(_EARLIEST, time.gmtime(found.modified_ns // 10**9)[:6]))
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | stat.S_IMODE(found.mode)) << 16
            with archive.open(info, "w", force_zip64=True) as member:
                async for piece in files.read(f"{directory}/{name}"):
                    await asyncio.to_thread(member.write, piece)


async def unpack(source: IO[bytes], files: SandboxFiles, directory: str) -> None:
    """Write an archive's files below ``directory``. Links in it are left out.

    Raises:
        ArchiveError: it is no archive, needs a password, is too large, or a name leads out of it, and then
            nothing is written; or its content is damaged.
        sandbox_files.SandboxFileError: a file can't be written.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            for info, key in _members(archive.infolist()):
                mode = stat.S_IMODE(info.external_attr >> 16) or 0o644
                with archive.open(info) as member:
                    await files.write(f"{directory}{key}", member.read, mode, _modified_ns(info))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ArchiveError(f"it can't be unpacked: {error}") from error


def _members(listed: Iterable[zipfile.ZipInfo]) -> list[tuple[zipfile.ZipInfo, str]]:
    """Return the files of an archive with their keys, all of them harmless."""
    members, room = [], MAX_UNPACKED_BYTES
    for info in listed:
        if info.is_dir() or stat.S_ISLNK(info.external_attr >> 16):
            continue
        if info.flag_bits & 1:
            raise ArchiveError("it can't be unpacked without a password")
        try:
            members.append((info, clean(info.filename)))
        except ContextFileError as error:
            raise ArchiveError(f"a name in it leads out of it: {info.filename!a}") from error
        room -= info.file_size
        if room < 0:
            raise ArchiveError(f"it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
    return members


def _modified_ns(info: zipfile.ZipInfo) -> int:
    try:
        return calendar.timegm(info.date_time) * 10**9
    except ValueError:  # month 0, say
        return calendar.timegm(_EARLIEST) * 10**9
