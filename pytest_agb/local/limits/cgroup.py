"""Cgroups of version 2, where they are delegated to us: the kernel's limits for a sandbox as a whole.

Delegated is what the manager of this machine has given to our user, above the processes of our own unit.
Nothing else is ours to divide. See systemd's "Control Group APIs and Delegation" and Linux's `cgroup-v2.rst`.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH102, PTH106, PTH116, PTH118, PTH120, PTH208

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import time
from typing import TYPE_CHECKING

from pytest_agb.local import syscalls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_agb.local.limits.rlimits import Limits

_PREFIX = "pytest-agb-"
_CONTROLLERS = {"memory", "pids"}
#: Seconds within which a directory that nobody holds may be one that is just being made.
_NEW_SECONDS = 60.0
#: Seconds to wait for cgroups to be empty in the end. What is left then the next fork server removes.
_CLOSE_SECONDS = 1.0


def delegated() -> str | None:
    """Return the directory that cgroups with limits can be made in; ``None`` where there is none."""
    mount, own = _mount_point(), _own_cgroup()
    return None if mount is None or own is None else find(mount, own)


def find(mount: str, own: str) -> str | None:
    """Return the nearest of ``own`` and what is above it that is delegated, and free of processes or divided.

    What is above our own unit, a service or scope, is systemd's or a user's systemd's own tree.
    """
    directory = os.path.join(mount, own.lstrip("/")).rstrip("/")
    while not directory.endswith(".slice"):
        if _is_ours(directory) and _can_divide(directory):
            return directory
        if directory == mount or directory.endswith((".service", ".scope")):
            break
        directory = os.path.dirname(directory)
    return None


def _mount_point() -> str | None:
    with contextlib.suppress(OSError), open("/proc/self/mountinfo", encoding="utf-8") as file:
        for line in file:
            before, _, after = line.partition(" - ")
            fields = before.split()
            if after.startswith("cgroup2 ") and fields[3] == "/":
                return fields[4]
    return None


def _own_cgroup() -> str | None:
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="utf-8") as file:
        for line in file:
            if line.startswith("0::/"):
                return line[3:].rstrip("\n")
    return None


def _is_ours(directory: str) -> bool:
    try:
        owner = os.stat(directory).st_uid
    except OSError:
        return False
    if not os.access(directory, os.W_OK) or not os.access(f"{directory}/cgroup.procs", os.W_OK):
        return False
    if os.getuid() != 0:
        return owner == os.getuid()
    # To root all are open. What systemd has delegated is marked.
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(directory, name) == b"1":
                return True
    return False


def _can_divide(directory: str) -> bool:
    if not set(_read(f"{directory}/cgroup.controllers").split()) >= _CONTROLLERS:
        return False
    passed_on = set(_read(f"{directory}/cgroup.subtree_control").split()) >= _CONTROLLERS
    # The kernel passes nothing on from where processes are.
    return passed_on or not _read(f"{directory}/cgroup.procs")


class Cgroups:
    """The cgroups of one fork server: a directory of its own, with one for each session."""

    def __init__(self, delegated: str, limits: Limits, *, files_in_memory: bool) -> None:
        """Make the directory. ``files_in_memory`` says that a session's files count as its memory.

        Raises:
            OSError: the kernel refuses it.
        """
        _remove_left_behind(delegated)
        self._limits = limits
        self._memory = limits.memory_bytes + (limits.storage_bytes if files_in_memory else 0)
        _write(f"{delegated}/cgroup.subtree_control", "+memory +pids")
        self._directory = os.path.join(delegated, f"{_PREFIX}{os.getpid()}-{time.time_ns()}")
        os.mkdir(self._directory)
        self._ending: set[str] = set()
        self._held = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX)
            _write(f"{self._directory}/cgroup.subtree_control", "+memory +pids")
        except OSError:
            self.close()
            raise

    def add(self, session: str) -> Cgroup:
        """Make one for ``session``.

        Raises:
            OSError: the kernel refuses it.
        """
        self._remove_ending()
        path = os.path.join(self._directory, session)
        os.mkdir(path)
        _write(f"{path}/memory.max", str(self._memory))
        with contextlib.suppress(FileNotFoundError):  # a kernel without swap
            _write(f"{path}/memory.swap.max", "0")
        _write(f"{path}/pids.max", str(2 * self._limits.processes))
        return Cgroup(path, self._memory)

    def kill(self, session: str) -> None:
        """Kill all that is in it at once, where there is one and the kernel can (from Linux 5.14 on)."""
        with contextlib.suppress(FileNotFoundError):
            _write(os.path.join(self._directory, session, "cgroup.kill"), "1")

    def remove(self, session: str) -> None:
        """Remove it, now or as soon as the last process in it has ended."""
        self._ending.add(session)
        self._remove_ending()

    def _remove_ending(self) -> None:
        for session in list(self._ending):
            if _rmdir(os.path.join(self._directory, session)):
                self._ending.discard(session)

    def close(self) -> None:
        """Remove the directory. What has just been killed may take a moment to be gone."""
        deadline = time.monotonic() + _CLOSE_SECONDS
        with open(f"{self._directory}/cgroup.events", encoding="ascii") as events:
            changes = select.poll()
            changes.register(events, select.POLLPRI)
            while "populated 0" not in events.read() and (left := deadline - time.monotonic()) > 0:
                changes.poll(1000 * left)
                events.seek(0)
        self._remove_ending()
        _rmdir(self._directory)
        os.close(self._held)


class Cgroup:
    """The cgroup of one session."""

    def __init__(self, path: str, memory: int) -> None:
        self._path = path
        self._memory = memory

    def enter(self) -> OutOfMemory:
        """Take this process into it, and all that it starts from now on.

        Raises:
            OSError: the kernel refuses it.
        """
        events = os.open(f"{self._path}/memory.events", os.O_RDONLY | os.O_CLOEXEC)
        _write(f"{self._path}/cgroup.procs", "0")
        return OutOfMemory(events, self._memory)


class OutOfMemory:
    """What the kernel does in this cgroup when its memory is used up, as the agent sees and steers it."""

    def __init__(self, descriptor: int, memory: int) -> None:
        """``descriptor`` is one of ``memory.events``."""
        self.descriptor = descriptor
        self._memory = memory
        self._seen_killed = self._seen_full = 0
        self._score = -1
        self._own_score = 0

    def become_agent(self) -> None:
        """Have this process outlive what it is `starting`. It comes before anything of a user's runs.

        For a moment other processes may look into this one: else its score is root's to change.

        Raises:
            OSError: the kernel refuses it.
        """
        syscalls.set_dumpable(True)
        try:
            self._score = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
        finally:
            syscalls.set_dumpable(False)
        self._own_score = int(os.pread(self._score, 16, 0))  # below that it takes a privilege to go

    @contextlib.contextmanager
    def starting(self) -> Iterator[None]:
        """Whatever is started meanwhile goes before this process where the kernel has to choose."""
        os.pwrite(self._score, b"%d" % min(1000, self._own_score + 500), 0)
        try:
            yield
        finally:
            os.pwrite(self._score, b"%d" % self._own_score, 0)

    def reason(self) -> str:
        """Return why processes were killed since the last look, ``""`` if none were."""
        fields = os.pread(self.descriptor, 1 << 10, 0).split()
        events = dict(zip(fields[::2], map(int, fields[1::2]), strict=False))
        killed, seen_killed = events[b"oom_kill"], self._seen_killed
        full, seen_full = events[b"oom"], self._seen_full
        self._seen_killed, self._seen_full = killed, full
        if killed == seen_killed:
            return ""
        if full == seen_full:
            return "the kernel was short of memory, beyond what this session may use"
        return f"all of {self._memory >> 20} MiB of memory in use, and no more are allowed"


def _remove_left_behind(delegated: str) -> None:
    """Remove the directories of fork servers that were killed, with their sandboxes."""
    for name in os.listdir(delegated):
        path = os.path.join(delegated, name)
        if not name.startswith(_PREFIX):
            continue
        with contextlib.suppress(OSError):  # it is in use, or somebody else is at it
            if time.time() - os.stat(path).st_mtime < _NEW_SECONDS:
                continue
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                for entry in os.scandir(path):
                    if entry.is_dir(follow_symlinks=False):
                        _rmdir(entry.path)
                _rmdir(path)
            finally:
                os.close(held)


def _rmdir(path: str) -> bool:
    """Remove a cgroup; false while processes are in it."""
    try:
        os.rmdir(path)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    # Not `open`, which would make a file that is missing: this file system denies that instead of saying so.
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
