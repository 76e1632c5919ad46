"""What processes use, as /proc has it: memory that is theirs and no file's, and space in a directory. Linux.

Everything here may end while it is looked at; what is gone uses nothing.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH115, PTH116, PTH208

from __future__ import annotations

import contextlib
import os
import stat
from typing import TYPE_CHECKING

from pytest_agb.local import tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def all_others() -> set[int]:
    """Return all processes that can be seen but this one: for process 1 of a namespace, those of its own."""
    return {int(name) for name in os.listdir("/proc") if name.isdigit()} - {os.getpid()}


def descendants(pid: int, at_most: int) -> set[int]:
    """Return the processes below ``pid``: all, or some more than ``at_most``."""
    found: set[int] = set()
    waiting = [pid]
    while waiting and len(found) <= at_most:
        for child in _children(waiting.pop()) - found:
            found.add(child)
            waiting.append(child)
    return found


def _children(pid: int) -> set[int]:
    found: set[int] = set()
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            found.update(map(int, _read(f"/proc/{pid}/task/{thread}/children").split()))
    return found


def tasks_of(user: int) -> int:
    """Return the number of processes and threads of a user, as far as they can be seen."""
    number = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == user:
                    number += _field(_read(f"/proc/{name}/status"), "Threads:")
    return number


def has_children_files() -> bool:
    """Whether the kernel lists children; else `descendants` finds none."""
    return os.path.exists(f"/proc/{os.getpid()}/task/{os.getpid()}/children")  # noqa: PTH110


def memory_at_most(pids: Iterable[int]) -> int:
    """Return an upper bound of `memory`, in bytes, quickly: what processes share is counted in each."""
    return 1024 * sum(
        _field(text, "RssAnon:") + _field(text, "RssShmem:") + _field(text, "VmSwap:")
        for text in (_read(f"/proc/{pid}/status") for pid in pids)
    )


def memory(pids: Iterable[int]) -> int:
    """Return the bytes that processes hold and that would be free without them.

    Mapped files are none of it, in a file system in memory neither.
    """
    kib = 0
    for pid in pids:
        text = _read(f"/proc/{pid}/smaps_rollup")
        if not text:  # another user's, or one that does not want to be looked at
            kib += memory_at_most([pid]) // 1024
            continue
        kib += _field(text, "Pss_Anon:") + _field(text, "SwapPss:")
        if _field(text, "Pss_Shmem:") > 1024:
            kib += _shared_without_file(pid)
    return 1024 * kib


def _shared_without_file(pid: int) -> int:
    """Return the KiB of memory that ``pid`` shares with relatives, in no file system."""
    kib, counts = 0, False
    for line in _read(f"/proc/{pid}/smaps").splitlines():
        head = line.split(None, 5)
        if "-" in head[0]:  # a new area: addresses, rights, offset, device, inode, name
            counts = len(head) == 6 and head[5].startswith("/dev/zero (deleted)")
        elif counts and head[0] == "Pss:":
            kib += int(head[1])
    return kib


def nameless_files(pids: Iterable[int]) -> Iterator[tuple[str, int]]:
    """Yield name and bytes of each open file that has been deleted or never was in a directory (memfd)."""
    seen = set()
    for pid in pids:
        with contextlib.suppress(OSError):
            for number in os.listdir(f"/proc/{pid}/fd"):
                path = f"/proc/{pid}/fd/{number}"
                with contextlib.suppress(OSError):
                    name = os.readlink(path)
                    if not name.endswith(" (deleted)"):
                        continue
                    info = os.stat(path)
                    if stat.S_ISREG(info.st_mode) and (info.st_dev, info.st_ino) not in seen:
                        seen.add((info.st_dev, info.st_ino))
                        yield name, info.st_blocks * 512


def system_v_memory() -> dict[int, int]:
    """Return the System V segments of this IPC namespace: the bytes in use of each, by its number."""
    lines = _read("/proc/sysvipc/shm").splitlines()
    if not lines:
        return {}
    names = lines[0].split()
    number, size = names.index("shmid"), names.index("rss")
    return {int(fields[number]): int(fields[size]) for fields in map(str.split, lines[1:])}


def in_directory(directory: str) -> tuple[int, int]:
    """Return the bytes and the number of the files below ``directory``."""
    size = number = 0
    with contextlib.suppress(OSError):  # the directory itself is gone, and with it what was in it
        for _, entry in tree.walk(directory):
            with contextlib.suppress(OSError):
                size += entry.stat(follow_symlinks=False).st_blocks * 512
                number += 1
    return size, number


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _field(text: str, name: str) -> int:
    """Return the number after ``name``, 0 if there is none."""
    value = text.partition(name)[2].split(None, 1)
    return int(value[0]) if value else 0
