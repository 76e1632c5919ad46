"""A filter of system calls, for what Landlock has no rule for: sockets, and what the kernel holds by number.

The filter is a program of the kernel's classic packet filter, over `struct seccomp_data` (seccomp(2)): the
number of the call at offset 0, the architecture at 4.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from dataclasses import dataclass

from pytest_agb.local import syscalls

# linux/bpf_common.h: load a word; jump if equal, if not below; return. linux/seccomp.h: the answers.
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_SET_MODE_FILTER = 1
# Without it, kernels before 5.16 slow every process of the sandbox down (Spectre v4).
_FLAG_SPEC_ALLOW = 4
#: From here on x86_64's numbers are those of another ABI (x32), which would go around the filter.
_X32 = 0x40000000


@dataclass(frozen=True)
class _Machine:
    """An architecture: its name in `seccomp_data`, and the numbers of its calls."""

    audit: int
    seccomp: int
    socket: int
    truncate: int
    #: All calls on what is no file and belongs to no process: an ID, a name or a serial number opens another
    #: process's, and what is made outlives its maker.
    #: shmget, shmat, shmctl, shmdt; semget, semop, semctl, semtimedop; msgget, msgsnd, msgrcv, msgctl.
    system_v: tuple[int, ...]
    #: mq_open, mq_unlink; the others take a descriptor.
    message_queues: tuple[int, ...]
    #: add_key, request_key, keyctl.
    keys: tuple[int, ...]


_MACHINES = {
    "x86_64": _Machine(
        0xC000003E, 317, 41, 76,
        system_v=(29, 30, 31, 67, 64, 65, 66, 220, 68, 69, 70, 71),
        message_queues=(240, 241),
        keys=(248, 249, 250),
    ),
    "aarch64": _Machine(
        0xC00000B7, 277, 198, 45,
        system_v=(194, 196, 195, 197, 190, 193, 191, 192, 186, 189, 188, 187),
        message_queues=(180, 181),
        keys=(217, 218, 219),
    ),
}  # fmt: skip
_IO_URING_SETUP = 425  # on every architecture; makes sockets without a call that could be filtered


def available() -> bool:
    """Whether the filter is written for this machine's processor."""
    return platform.machine() in _MACHINES


def confine(*, network: bool, truncate: bool) -> None:
    """Filter the calls of this thread and of all it starts. Comes after ``no_new_privs``.

    ``network`` lets sockets be made; without, a process has `socketpair` only. ``truncate`` lets a file be
    cut by its path, which Landlock before its ABI 3 can't forbid.

    Raises:
        kernel.StepError: the kernel has no such filters.
        KeyError: see `available`.
    """
    machine = _MACHINES[platform.machine()]
    by_number = (*machine.system_v, *machine.message_queues, *machine.keys)
    refused = dict.fromkeys((_IO_URING_SETUP, *by_number), errno.ENOSYS)
    if not network:
        refused[machine.socket] = errno.EACCES
    if not truncate:
        refused[machine.truncate] = errno.EACCES
    refuse(refused)


def refuse(calls: dict[int, int]) -> None:
    """Have the system calls of these numbers end with these errors, see `confine`."""
    machine = _MACHINES[platform.machine()]
    program = _program(machine.audit, calls)
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(instructions))
    syscalls.syscall("seccomp", machine.seccomp, _SET_MODE_FILTER, _FLAG_SPEC_ALLOW, header)


def _program(architecture: int, refused: dict[int, int]) -> bytes:
    """Return the filter: ``refused`` maps numbers of calls to the errors they end with."""
    lines = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, architecture),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
        (_LOAD, 0, 0, 0),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _ERRNO | errno.ENOSYS),
    ]
    for number, error in refused.items():
        lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | error)]
    lines.append((_RETURN, 0, 0, _ALLOW))
    return b"".join(struct.pack("HBBI", *line) for line in lines)
