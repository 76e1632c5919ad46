"""Linux system calls that Python has no function for, through ``ctypes``."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import struct

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP = 1, 4, 24
_PR_SET_SECUREBITS, _PR_SET_CHILD_SUBREAPER, _PR_SET_NO_NEW_PRIVS, _PR_CAP_AMBIENT = 28, 36, 38, 47
_SECBIT_NO_SETUID_FIXUP = 4
_PR_CAP_AMBIENT_RAISE, _PR_CAP_AMBIENT_CLEAR_ALL = 2, 4


class StepError(OSError):
    """A step of the set-up failed; ``step`` names it."""

    def __init__(self, step: str, number: int) -> None:
        super().__init__(number, os.strerror(number))
        self.step = step


_libc: ctypes.CDLL | None = None


def call(step: str, function: str, *arguments: object) -> int:
    """Call a function of the C library; ``syscall`` is one.

    Raises:
        StepError: it returned less than 0.
    """
    global _libc
    if _libc is None:
        _libc = ctypes.CDLL(None, use_errno=True)
    result = getattr(_libc, function)(*arguments)
    if result < 0:
        raise StepError(step, ctypes.get_errno())
    return int(result)


def syscall(step: str, number: int, *arguments: object) -> int:
    """Make a system call.

    Raises:
        StepError: the kernel refused.
    """
    return call(step, "syscall", ctypes.c_long(number), *arguments)


def prctl(option: int, argument: int = 0) -> None:
    """Call ``prctl`` with one argument.

    Raises:
        StepError: the kernel refused.
    """
    call(f"prctl({option})", "prctl", option, ctypes.c_ulong(argument), ctypes.c_ulong(0), ctypes.c_ulong(0),
         ctypes.c_ulong(0))  # fmt: skip


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies. A change of credentials forgets that."""
    prctl(_PR_SET_PDEATHSIG, 9)


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    prctl(_PR_SET_CHILD_SUBREAPER, 1)


def set_dumpable(dumpable: bool) -> None:
    """Decide whether other processes of the same user may look into this one through ``/proc``."""
    prctl(_PR_SET_DUMPABLE, int(dumpable))


def remove_system_v_memory(segment: int) -> None:
    """Remove a segment by its number; one that is gone is fine."""
    ipc_rmid = 0
    try:
        call(f"remove segment {segment}", "shmctl", segment, ipc_rmid, None)
    except StepError as error:
        if error.errno not in (errno.EINVAL, errno.EIDRM):
            raise


def capabilities() -> int:
    """Return the set of those in force for this process: the bit of each is its number."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        return int(file.read().partition("CapEff:")[2].split()[0], 16)


def forget_capabilities_to_come(keep: int = 0) -> None:
    """Empty the sets that capabilities are gained from, but for ``keep``. Comes before a change of user."""
    with contextlib.suppress(StepError):
        for capability in range(64):
            if not keep >> capability & 1:
                prctl(_PR_CAPBSET_DROP, capability)  # EINVAL ends the loop at the last that the kernel knows
    with contextlib.suppress(StepError):
        _ambient(_PR_CAP_AMBIENT_CLEAR_ALL, 0)
    if keep:
        # They outlive the change of user, and access(2), which asks for the real user, heeds them.
        prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)


def give_up_capabilities(keep: int = 0) -> None:
    """Have no capability but ``keep``, which programs inherit, and no program that gives one."""
    version_3 = 0x20080522
    sets = struct.pack("6I", *(keep & 0xFFFFFFFF,) * 3, *(keep >> 32,) * 3)
    call("capset", "capset", struct.pack("Ii", version_3, 0), sets)
    for capability in range(keep.bit_length()):
        if keep >> capability & 1:
            _ambient(_PR_CAP_AMBIENT_RAISE, capability)
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def _ambient(what: int, capability: int) -> None:
    call("ambient", "prctl", _PR_CAP_AMBIENT, ctypes.c_ulong(what), ctypes.c_ulong(capability),
         ctypes.c_ulong(0), ctypes.c_ulong(0))  # fmt: skip
