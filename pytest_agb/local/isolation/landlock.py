"""Confine a process where it is: Landlock, which needs neither a privilege nor a namespace.

The sandbox may read the host's programs and use a directory of its own; every other file is there and
closed. For sockets, and what else Landlock has no rule for, there is `seccomp`. System calls, rights and what
each ABI brought: Documentation/userspace-api/landlock.rst of the kernel.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH208

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import socket
import stat
import struct
from typing import TYPE_CHECKING

from pytest_agb.local import syscalls
from pytest_agb.local.isolation import host, seccomp

if TYPE_CHECKING:
    from collections.abc import Callable

# The same numbers on every architecture that has a Python.
_SYS_CREATE_RULESET, _SYS_ADD_RULE, _SYS_RESTRICT_SELF = 444, 445, 446
_CREATE_RULESET_VERSION, _RULE_PATH_BENEATH = 1, 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
#: The rights that a rule for something other than a directory may give.
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPE_ABSTRACT_UNIX_SOCKET, _SCOPE_SIGNAL = 1, 2
#: ABIs that brought a right more than the 13 of the first: moving between directories, cutting a file,
#: a device's own commands.
_MORE_RIGHTS = (2, 3, 5)
_ABI_TRUNCATE, _ABI_TCP, _ABI_SCOPES = 3, 4, 6

#: The bits of CHOWN, KILL, SETGID, SETUID and SETPCAP, and of the one that stays: the way to Python and to
#: the session's directory may be root's alone. What may be read and written is up to the rules.
_DAC_OVERRIDE = 1 << 1
_FOR_ANOTHER_USER = _DAC_OVERRIDE | 1 << 0 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8
#: Above what systemd gives to containers; where few IDs are mapped, what no distribution gives to anybody.
_USER_IDS = ((1_900_000_000, 2_147_000_000), (40_000, 59_000))

DEVICES = ("null", "zero", "full", "random", "urandom", "tty")


def abi() -> int:
    """Return the version of Landlock that this kernel has, from 1.

    Raises:
        kernel.StepError: it has none, or it is switched off, or something forbids to ask.
    """
    return syscalls.syscall("landlock_create_ruleset", _SYS_CREATE_RULESET, None, ctypes.c_size_t(0),
                          ctypes.c_uint32(_CREATE_RULESET_VERSION))  # fmt: skip


def confine(directory: str, readable: list[str], *, network: bool, version: int | None = None) -> bool:
    """Confine this process, which must have one thread, and all that it starts, for good.

    It may read what is at and below ``readable``, and do all below ``directory``. ``network`` leaves it the
    host's network. ``version`` is the ABI to use, by default the kernel's.

    Returns:
        Whether its signals reach itself and what it starts only.

    Raises:
        OSError: a step failed, or ``directory`` is not there.
    """
    version = abi() if version is None else version
    _give_up_privileges(directory)
    rights = (1 << (13 + sum(version >= brought for brought in _MORE_RIGHTS))) - 1
    rules, alone = _new_rules(version, rights, network=network)
    try:
        _allow(rules, directory, rights)
        for path in readable:
            with contextlib.suppress(FileNotFoundError, PermissionError):
                _allow(rules, path, _READ)
        for name in DEVICES:
            with contextlib.suppress(FileNotFoundError):
                _allow(rules, f"/dev/{name}", (_READ_FILE | _WRITE_FILE | _TRUNCATE | _IOCTL_DEV) & rights)
        syscalls.syscall("landlock_restrict_self", _SYS_RESTRICT_SELF, rules, ctypes.c_uint32(0))
    finally:
        os.close(rules)
    if seccomp.available():
        seccomp.confine(network=network, truncate=version >= _ABI_TRUNCATE)
    return alone


def own_user() -> int | None:
    """Return a user ID for a sandbox that no other process has; ``None`` where that can't be had.

    It is had by root. Another user's processes can't be signalled whatever the ABI, and are counted apart.
    """
    if os.getuid() != 0 or syscalls.capabilities() & _FOR_ANOTHER_USER != _FOR_ANOTHER_USER:
        return None
    with open("/proc/self/uid_map", encoding="ascii") as file:
        mapped = [tuple(map(int, line.split())) for line in file]
    for lowest, highest in _USER_IDS:
        if any(first <= lowest and highest < first + count for first, _, count in mapped):
            return lowest + secrets.randbelow(highest - lowest)
    return None


def _give_up_privileges(directory: str) -> None:
    user = own_user()
    if user is None:
        syscalls.forget_capabilities_to_come()
        syscalls.give_up_capabilities()
        return
    for folder in (directory, *(entry.path for entry in os.scandir(directory))):
        os.chown(folder, user, user)
    syscalls.forget_capabilities_to_come(_DAC_OVERRIDE)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    syscalls.give_up_capabilities(_DAC_OVERRIDE)


def _new_rules(version: int, rights: int, *, network: bool) -> tuple[int, bool]:
    """Return a descriptor of empty rules, and whether they close in signals."""
    tcp = 0 if network else _BIND_TCP | _CONNECT_TCP
    scopes = _SCOPE_ABSTRACT_UNIX_SOCKET | _SCOPE_SIGNAL
    fields = 1 + (version >= _ABI_TCP) + (version >= _ABI_SCOPES)
    try:
        rules = _create_ruleset(struct.pack("QQQ", rights, tcp, scopes)[: 8 * fields])
        return rules, version >= _ABI_SCOPES
    except syscalls.StepError as error:
        if version < _ABI_SCOPES or error.errno != errno.EINVAL:
            raise
    # Red Hat's 5.14 says that it is ABI 6 and has no scope for signals.
    return _create_ruleset(struct.pack("QQQ", rights, tcp, _SCOPE_ABSTRACT_UNIX_SOCKET)), False


def _create_ruleset(attributes: bytes) -> int:
    return syscalls.syscall("landlock_create_ruleset", _SYS_CREATE_RULESET, attributes,
                          ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))  # fmt: skip


def _allow(rules: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        syscalls.syscall(f"landlock_add_rule {path}", _SYS_ADD_RULE, rules, _RULE_PATH_BENEATH,
                       struct.pack("=Qi", rights, descriptor), ctypes.c_uint32(0))  # fmt: skip
    finally:
        os.close(descriptor)


# ---------------------------------------------------------------------- what holds on this machine


def held() -> list[str]:
    """Return what this process, which is confined, is kept from: of ``files``, ``network`` and ``signals``.

    An ABI's number is a promise that not every kernel keeps.
    """
    return [name for name, attempt in _ATTEMPTS.items() if _is_refused(attempt)]


def readable(shown: list[str]) -> list[str]:
    """Return what sandboxes may read: ``shown``, the system's folders and ``/proc``."""
    folders = [*host.system_folders(), *shown, "/proc"]
    if os.getuid() != 0:
        return folders
    # Root's sandboxes may read what hides something from all others: leave that out.
    folders.remove("/etc")
    return folders + host.readable_by_all("/etc")


def _connect() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probing:
        probing.connect(("127.0.0.1", 1))


_ATTEMPTS: dict[str, Callable[[], object]] = {
    "files": lambda: os.listdir("/"),
    "network": _connect,
    "signals": lambda: os.kill(os.getppid(), 0),
}


def _is_refused(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except PermissionError:
        return True
    except OSError:
        pass
    return False
