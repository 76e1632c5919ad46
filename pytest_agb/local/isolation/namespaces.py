"""Give a process a machine of its own: Linux namespaces, entered through ``ctypes``.

The sandbox sees: a writable root in memory (size-limited), the host's programs read-only, a ``/tmp`` and
a home of its own, its own processes, its own (empty) network. Its processes are unprivileged on the host
whoever runs the server. These are the steps; `launch.launcher` takes them, in this order::

    helper                   unshare → user map → mounts → fork
    process 1 of the sandbox /proc → pivot_root → give up the user and all capabilities
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH101, PTH103, PTH108, PTH110, PTH112, PTH113, PTH114, PTH115, PTH120, PTH211

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import socket
import struct
from typing import TYPE_CHECKING

from pytest_agb.local import syscalls
from pytest_agb.local.isolation import host
from pytest_agb.local.syscalls import StepError

if TYPE_CHECKING:
    from pytest_agb.local.limits.rlimits import Limits

_CLONE_NEWNS, _CLONE_NEWUTS, _CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
_CLONE_NEWUSER, _CLONE_NEWPID, _CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_REMOUNT = 1, 2, 4, 8, 32
_MS_BIND, _MS_REC, _MS_SLAVE = 4096, 16384, 1 << 19
_MNT_DETACH = 2
_SYS_MOUNT_SETATTR = 442  # the same number on every architecture
_SYS_PIVOT_ROOT = {
    "x86_64": 155, "aarch64": 41, "riscv64": 41, "loongarch64": 41, "i686": 217, "armv7l": 218,
    "ppc64le": 203, "s390x": 217,
}  # fmt: skip

#: The sandbox's user, as seen inside.
INSIDE_ID = 1000
#: ... and on the host when root runs the server: `nobody`.
NOBODY = 65534
HOME = "/home/user"


def _mount(step: str, source: str, target: str, kind: str | None, flags: int, data: str = "") -> None:
    syscalls.call(step, "mount", os.fsencode(source), os.fsencode(target), kind.encode() if kind else None,
                ctypes.c_ulong(flags), data.encode() or None)  # fmt: skip


def _read_only(target: str) -> None:
    """Make ``target`` and every mount below it read-only, without set-user-ID programs and devices."""
    attributes = struct.pack("QQQQ", _MS_RDONLY | _MS_NOSUID | _MS_NODEV, 0, 0, 0)
    at_fdcwd, at_recursive = -100, 0x8000
    try:
        syscalls.syscall("mount_setattr", _SYS_MOUNT_SETATTR, at_fdcwd, os.fsencode(target), at_recursive,
                       attributes, ctypes.c_size_t(len(attributes)))  # fmt: skip
    except StepError as error:
        if error.errno != errno.ENOSYS:
            raise
    else:
        return
    # Before Linux 5.12: one by one. Flags that the host has set are locked and must be named again.
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        points = [line.split()[4].replace("\\040", " ") for line in file]
    for point in points:
        if point == target or point.startswith(target + "/"):
            flags = os.statvfs(point).f_flag & (_MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
            flags |= _MS_REMOUNT | _MS_BIND | _MS_RDONLY | _MS_NOSUID | _MS_NODEV
            _mount(f"read-only {point}", "none", point, None, flags)


def _bind_read_only(source: str, root: str) -> None:
    target = root + source
    if os.path.isdir(source):
        os.makedirs(target, mode=0o755, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), mode=0o755, exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    _mount(f"bind {source}", source, target, None, _MS_BIND | _MS_REC)
    _read_only(target)


def _id_map(kind: str, own: int) -> str:
    """Return the map for ``uid`` or ``gid``: inside-ID, outside-ID, count.

    An ordinary user can map itself only. Root maps `nobody`, and itself for the set-up alone. Where root is
    all there is (a rootless container with one ID), it is an ordinary user of the host already.
    """
    if own != 0:
        return f"{INSIDE_ID} {own} 1\n"
    with open(f"/proc/self/{kind}_map", encoding="ascii") as file:
        ranges = [tuple(map(int, line.split())) for line in file]
    highest = [min(NOBODY, first + count - 1) for first, _, count in ranges if first <= NOBODY and count]
    outside = max(highest, default=0)
    return f"0 0 1\n{INSIDE_ID} {outside} 1\n" if outside else f"{INSIDE_ID} 0 1\n"


def write_id_maps(pid: int, uid: int, gid: int) -> None:
    """Write the user and group maps of process ``pid``, which has just called `unshare`."""
    if uid != 0:
        # The kernel's condition for a group map by an ordinary user.
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{pid}/setgroups", "w") as file:
            file.write("deny")
    for kind, own in (("uid", uid), ("gid", gid if uid else 0)):
        try:
            with open(f"/proc/{pid}/{kind}_map", "w") as file:
                file.write(_id_map(kind, own))
        except OSError as error:
            raise StepError(f"{kind} map", error.errno or 0) from error


def unshare(*, network: bool) -> None:
    """Leave the host's user, mount, process, IPC, host name and network namespaces; ``network`` is kept."""
    flags = _CLONE_NEWUSER | _CLONE_NEWNS | _CLONE_NEWPID | _CLONE_NEWIPC | _CLONE_NEWUTS
    syscalls.call("unshare", "unshare", flags if network else flags | _CLONE_NEWNET)


def build_root(root: str, shown: list[str], limits: Limits) -> None:
    """Mount the sandbox's root at the empty directory ``root``. ``shown`` is in it, too."""
    _mount("private mounts", "none", "/", None, _MS_SLAVE | _MS_REC)
    options = f"size={limits.storage_bytes},mode=0755,nr_inodes={limits.files}"
    _mount("tmpfs", "tmpfs", root, "tmpfs", _MS_NOSUID | _MS_NODEV, options)
    old_mask = os.umask(0)
    for path in host.system_folders():
        if os.path.islink(path):
            os.symlink(os.readlink(path), root + path)
        else:
            _bind_read_only(path, root)
    for path in ("/home", "/root", "/run", "/proc", "/dev", "/var", "/mnt", "/opt", "/srv"):
        os.makedirs(root + path, 0o755, exist_ok=True)
    for path in ("/tmp", "/var/tmp", "/dev/shm"):
        os.makedirs(root + path, exist_ok=True)
        os.chmod(root + path, 0o1777)
    os.makedirs(root + HOME, 0o755, exist_ok=True)
    # After /tmp and /home: that is where a virtual environment is, often enough.
    for path in shown:
        _bind_read_only(path, root)
    for name in ("null", "zero", "full", "random", "urandom", "tty"):
        if os.path.exists(f"/dev/{name}"):
            os.close(os.open(f"{root}/dev/{name}", os.O_CREAT | os.O_WRONLY, 0o666))
            _mount(f"bind /dev/{name}", f"/dev/{name}", f"{root}/dev/{name}", None, _MS_BIND)
    for name, target in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
        os.symlink(f"/proc/self/fd{target}", f"{root}/dev/{name}")
    passwd = f"user:x:{INSIDE_ID}:{INSIDE_ID}::{HOME}:/bin/bash\nnobody:x:{NOBODY}:{NOBODY}::/:/bin/false\n"
    _replace(root, "/etc/passwd", f"root:x:0:0:root:/root:/bin/sh\n{passwd}")
    _replace(root, "/etc/group", f"root:x:0:\nuser:x:{INSIDE_ID}:\nnogroup:x:{NOBODY}:\n")
    for path in ("/", "/home", HOME, "/mnt", "/opt", "/srv"):
        os.chown(root + path, INSIDE_ID, INSIDE_ID)
    os.umask(old_mask)


def _replace(root: str, path: str, text: str) -> None:
    """Show ``text`` where the host has a file ``path``."""
    if not os.path.isfile(root + path):
        return
    source = f"{root}/.replacement"
    with open(source, "w") as file:
        file.write(text)
    os.chmod(source, 0o644)
    _mount(f"replace {path}", source, root + path, None, _MS_BIND)
    _read_only(root + path)
    os.unlink(source)


def loopback_up() -> None:
    """Switch the sandbox's own loopback on: servers started inside can be reached inside."""
    siocsifflags, iff_up_running = 0x8914, 0x41
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket, contextlib.suppress(OSError):
        fcntl.ioctl(any_socket, siocsifflags, struct.pack("16sH14x", b"lo", iff_up_running))


def enter_root(root: str) -> None:
    """As process 1 of the sandbox: mount its ``/proc``, make ``root`` the root and forget the old one."""
    _mount("proc", "proc", f"{root}/proc", "proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC)
    # In a namespace within this one a process could mount, and fill, a file system of its own.
    with open(f"{root}/proc/sys/user/max_user_namespaces", "w") as file:
        file.write("0")
    number = _SYS_PIVOT_ROOT.get(platform.machine())
    if number is None:
        raise StepError(f"pivot_root on {platform.machine()}", errno.ENOSYS)
    os.chdir(root)
    # Both the same: the old root is stacked on the new one and can be taken off (pivot_root(2), "NOTES").
    syscalls.syscall("pivot_root", number, b".", b".")
    syscalls.call("unmount the old root", "umount2", b".", _MNT_DETACH)
    os.chdir("/")


def drop_privileges() -> None:
    """Become the sandbox's user for good: no capability, no way to gain one."""
    syscalls.forget_capabilities_to_come()
    if os.getuid() != INSIDE_ID:
        os.setgroups([])
        os.setresgid(INSIDE_ID, INSIDE_ID, INSIDE_ID)
        os.setresuid(INSIDE_ID, INSIDE_ID, INSIDE_ID)
    syscalls.give_up_capabilities()
