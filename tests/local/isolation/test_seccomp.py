"""Memory, semaphores, queues and keys that no process holds: a sandbox reaches none of this machine's.

They have no path that a rule could be about. Whoever knows an ID (`/proc/sysvipc` lists them), a name or a
serial number asks the kernel for them; it looks at the user alone, and that is the same one where an ordinary
user runs the server.
"""

from __future__ import annotations

import errno
import json
import platform
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.confined import Confined
from support.local_server import Sandbox, environment

from pytest_agb.local.isolation import seccomp

pytestmark = pytest.mark.skipif(not seccomp.available(), reason="no filter for this processor")

#: keyctl, which has no function in the C library.
KEYCTL = {"x86_64": 250, "aarch64": 219}.get(platform.machine(), 0)

#: Makes one of each, and tells what is in them each time that a line comes in. Ends with its input.
_OWNER = """
import ctypes, json, os, struct, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
KEYCTL = int(sys.argv[1])
IPC_RMID, IPC_STAT, GETVAL, SETVAL = 0, 2, 12, 16
def made(what, result):
    if result == -1:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")
    return result
segment = made("segment", libc.shmget(0, 4096, 0o1600))
at = libc.shmat(segment, None, 0)
ctypes.memmove(at, b"secret\\0", 7)
semaphore = made("semaphore", libc.semget(0, 1, 0o1600))
made("value", libc.semctl(semaphore, 0, SETVAL, 3))
messages = made("messages", libc.msgget(0, 0o1600))
made("message", libc.msgsnd(messages, struct.pack("l6s", 1, b"secret"), 6, 0))
name = f"/agb-test-{os.getpid()}".encode()
attributes = struct.pack("8l", 0, 10, 100, 0, 0, 0, 0, 0)
how = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NONBLOCK
queue = made("queue", libc.mq_open(name, how, 0o600, attributes))
made("message", libc.mq_send(queue, b"secret", 6, 0))
# In the user's own keyring, which the processes of a user have in common.
ADD_KEY, USER_KEYRING = KEYCTL - 2, -4
key = libc.syscall(ADD_KEY, b"user", name[1:], b"secret", ctypes.c_size_t(6), USER_KEYRING)
def seen():
    state, buffer = ctypes.create_string_buffer(200), ctypes.create_string_buffer(200)
    made("state", libc.msgctl(messages, IPC_STAT, state))
    queued = struct.unpack("8l", made("attributes", (libc.mq_getattr(queue, buffer), buffer.raw[:64])[1]))[3]
    return {
        "memory": ctypes.string_at(at).decode(),
        "semaphore": libc.semctl(semaphore, 0, GETVAL),
        "messages": struct.unpack_from("L", state, 80)[0],
        "queued": queued,
        "key": libc.syscall(KEYCTL, 11, key, buffer, ctypes.c_size_t(100)),
    }
try:
    print(json.dumps([segment, semaphore, messages, name.decode(), key]), flush=True)
    for line in sys.stdin:
        print(json.dumps(seen()), flush=True)
finally:
    libc.shmctl(segment, IPC_RMID, None)
    libc.semctl(semaphore, 0, IPC_RMID)
    libc.msgctl(messages, IPC_RMID, None)
    libc.mq_unlink(name)
    libc.syscall(KEYCTL, 9, key, USER_KEYRING)
"""

#: Tries every call on the objects of another process; tells which ones did not fail.
_ATTEMPTS = """
import ctypes, os, struct
segment, semaphore, messages, name, key = {objects}
libc = ctypes.CDLL(None, use_errno=True)
buffer = ctypes.create_string_buffer(200)
IPC_RMID, IPC_SET, IPC_STAT, IPC_NOWAIT, GETVAL, SETVAL = 0, 1, 2, 0o4000, 12, 16
size, name = ctypes.c_size_t, name.encode()
operation = struct.pack("Hhh", 0, -1, IPC_NOWAIT)
attempts = [
    ("shmat", segment, None, 0), ("shmctl", segment, IPC_STAT, buffer),
    ("semctl", semaphore, 0, GETVAL), ("semctl", semaphore, 0, SETVAL, 7),
    ("semop", semaphore, operation, size(1)),
    ("semtimedop", semaphore, operation, size(1), None),
    ("msgctl", messages, IPC_STAT, buffer),
    ("msgsnd", messages, struct.pack("l1s", 1, b"x"), size(1), IPC_NOWAIT),
    ("msgrcv", messages, buffer, size(100), 0, IPC_NOWAIT),
    ("mq_open", name, os.O_RDWR | os.O_NONBLOCK), ("mq_unlink", name),
    ("syscall", {keyctl}, 11, key, buffer, size(100)), ("syscall", {keyctl}, 2, key, b"spoilt", size(6)),
    ("shmctl", segment, IPC_RMID, None), ("semctl", semaphore, 0, IPC_RMID),
    ("msgctl", messages, IPC_RMID, None),
]
done = []
for number, (call, *arguments) in enumerate(attempts):
    function = getattr(libc, call)
    function.restype = ctypes.c_ssize_t if call in ("shmat", "msgrcv", "syscall") else ctypes.c_int
    if function(*arguments) != -1:
        done.append((number, call))
done
"""

#: Makes one of each kind, uses it and removes it.
_OWN = """
import ctypes, struct
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
segment, semaphore, messages = libc.shmget(0, 4096, 0o1600), libc.semget(0, 1, 0o1600), libc.msgget(0, 0o1600)
at = libc.shmat(segment, None, 0)
ctypes.memmove(at, b"own", 3)
raised = libc.semop(semaphore, struct.pack("Hhh", 0, 2, 0), ctypes.c_size_t(1))
sent = libc.msgsnd(messages, struct.pack("l3s", 1, b"own"), ctypes.c_size_t(3), 0)
buffer = ctypes.create_string_buffer(100)
got = libc.msgrcv(messages, buffer, ctypes.c_size_t(50), 0, 0)
seen = ctypes.string_at(at, 3), raised, libc.semctl(semaphore, 0, 12), sent, buffer.raw[8:8 + got]
removed = libc.shmctl(segment, 0, None), libc.semctl(semaphore, 0, 0), libc.msgctl(messages, 0, None)
seen, removed
"""


class Owner:
    """A process outside of all sandboxes, of the user that runs the server, that owns one of each."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.objects = self._read()

    def contents(self) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write("tell\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())


@pytest.fixture
def owner(confined: Confined) -> Iterator[Owner]:
    command = [*confined.prefix, confined.python, "-c", _OWNER, str(KEYCTL)]
    with subprocess.Popen(
        command, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Owner(process)
        assert process.stdin is not None
        process.stdin.close()


def test_no_call_reaches_the_objects_of_other_processes(owner: Owner, inside: Sandbox) -> None:
    before = owner.contents()

    done = inside.value(_ATTEMPTS.format(objects=owner.objects, keyctl=KEYCTL))

    assert done == "[]"
    assert owner.contents() == before
    assert before["memory"] == "secret"
    assert before["semaphore"] == 3
    assert (before["messages"], before["queued"]) == (1, 1)


def test_the_attempts_succeed_where_nothing_stops_them(owner: Owner, confined: Confined) -> None:
    """Else the test above would hold whatever the filter does."""
    script = _ATTEMPTS.format(objects=owner.objects, keyctl=KEYCTL) + "\nprint(len(attempts), len(done))"
    # Reading or changing a key wants it in a keyring of one's own, and containers forbid keys to all.
    keys = 0 if owner.contents()["key"] == -1 else 2

    told = subprocess.run(
        [*confined.prefix, confined.python, "-c", script], env=environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip

    attempts, done = map(int, told.stdout.split())
    assert done == attempts - 2 + keys


def test_a_sandbox_with_namespaces_has_its_own(confined: Confined, inside: Sandbox) -> None:
    """PostgreSQL and fakeroot need them. Under Landlock there are none, and the call says so."""
    if confined.way == "landlock":
        code = "import ctypes\nctypes.CDLL(None, use_errno=True).{}, ctypes.get_errno()"
        for call in ("shmget(0, 4096, 0o1600)", "semget(0, 1, 0o1600)", "msgget(0, 0o1600)"):
            assert inside.value(code.format(call)) == f"(-1, {errno.ENOSYS})"
    else:
        assert inside.value(_OWN) == "((b'own', 0, 2, 0, b'own'), (0, 0, 0))"


@pytest.mark.parametrize(
    ("machine", "header"),
    [("x86_64", "x86_64-linux-gnu/asm/unistd_64.h"), ("aarch64", "asm-generic/unistd.h")],
)
def test_the_filter_has_the_numbers_of_the_kernels_headers(machine: str, header: str) -> None:
    """A wrong number leaves a call open on a machine that these tests may never have run on."""
    path = Path("/usr/include", header)
    if not path.is_file():
        pytest.skip(f"no {path}: the headers of the C library are not installed")
    numbers = re.findall(
        r"^#define __NR_((?:shm|sem|msg)[a-z]+|mq_(?:open|unlink)|add_key|request_key|keyctl) (\d+)$",
        path.read_text(), re.M,
    )  # fmt: skip
    table = seccomp._MACHINES[machine]

    filtered = [*table.system_v, *table.message_queues, *table.keys]

    assert sorted(filtered) == sorted(int(number) for _, number in numbers)
    assert len(filtered) == 17
