"""In namespaces a sandbox has a machine of its own: files, processes, users, network."""

from __future__ import annotations

import ast
import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from support.local_server import Api, Sandbox, Server

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.needs_namespaces


@pytest.fixture
def other(api: Api) -> Iterator[Sandbox]:
    with api.session() as sandbox:
        yield sandbox


def test_a_file_of_one_session_is_not_in_another(sandbox: Sandbox, other: Sandbox) -> None:
    for path in (
        "/tmp/secret.txt",
        "/home/user/secret.txt",
        "/var/tmp/secret.txt",
        "/dev/shm/secret.txt",
        "/secret",
    ):
        assert sandbox.tool("write_file", path=path, content="mine")[0]
        assert sandbox.shell(f"cat {path}")["stdout"] == "mine"
        assert other.shell(f"cat {path}")["exit_code"] == 1
        assert other.value(f"import os\nos.path.exists({path!r})") == "False"
        ok, text = other.tool("read_file", path=path)
        assert not ok
        assert "not found" in text
        assert not Path(path).exists()


def test_the_password_file_cannot_be_read(sandbox: Sandbox) -> None:
    assert sandbox.shell("cat /etc/shadow")["exit_code"] == 1
    assert "Error" in sandbox.code("open('/etc/shadow').read()")["executionError"]
    assert not sandbox.tool("read_file", path="/etc/shadow")[0]


def test_the_hosts_programs_cannot_be_changed(sandbox: Sandbox) -> None:
    for path in ("/usr/bin/x", "/etc/x", "/etc/passwd", "/proc/sys/kernel/hostname"):
        assert sandbox.shell(f"echo x > {path}")["exit_code"] != 0
        assert not sandbox.tool("write_file", path=path, content="x")[0]
        assert "Error" in sandbox.code(f"import sys\nopen({path!r}, 'w').write('x')")["executionError"]
    assert (
        "Read-only"
        in sandbox.code("import sys, os\nopen(os.path.join(sys.prefix, 'x'), 'w')")["executionError"]
    )


def test_processes_of_others_are_not_seen(sandbox: Sandbox, other: Sandbox) -> None:
    other.shell("sleep 4321 & echo started")
    lines = sandbox.shell("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")["stdout"]
    assert "sleep 4321" not in lines
    assert sandbox.value("import os\nsum(name.isdigit() for name in os.listdir('/proc')) < 10") == "True"


def test_its_processes_are_unprivileged_on_the_host(sandbox: Sandbox) -> None:
    sandbox.shell("sleep 98761234 & echo started")
    uids = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if b"98761234" in (entry / "cmdline").read_bytes():
                    uids.add(entry.stat().st_uid)
            except OSError:
                continue
    assert uids
    assert 0 not in uids
    assert os.getuid() in (0, *uids)


def test_it_has_no_capability_and_no_way_to_one(sandbox: Sandbox) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in sandbox.shell("cat /proc/self/status")["stdout"].splitlines()
        if ":\t" in line
    )
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"] == "1"
    assert "0" not in status["Uid"].split()


def test_nothing_of_the_servers_environment_leaks(sandbox: Sandbox, server: Server) -> None:
    expected = {"PATH", "LANG", "HOME", "TMPDIR", "USER", "LOGNAME", "SHELL", "TERM", "PWD", "SHLVL", "_"}
    names = {line.partition("=")[0] for line in sandbox.shell("env")["stdout"].splitlines()}
    assert names <= expected
    everything = sandbox.shell("cat /proc/[0-9]*/environ; env; set")["stdout"]
    everything += sandbox.value("import os\n(dict(os.environ), open('/proc/self/environ').read())")
    for secret in ("LEAK_MARKER", "of-the-cloud", "AGB_API_KEY", server.api_key):
        assert secret not in everything


def test_the_servers_key_is_not_in_the_memory_of_a_sandbox(sandbox: Sandbox, server: Server) -> None:
    # Spelled in two halves: else the code itself would be what is found.
    half = len(server.api_key) // 2
    code = f"""
key = [{server.api_key[:half]!r}, {server.api_key[half:]!r}]
found = 0
with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb") as memory:
    for line in maps:
        area, access = line.split()[:2]
        if "rw" in access:
            start, end = (int(part, 16) for part in area.split("-"))
            memory.seek(start)
            content = memory.read(end - start)
            where = content.find(key[0].encode())
            while where >= 0:
                if content[where + len(key[0]):][:len(key[1])] == key[1].encode():
                    found += 1
                where = content.find(key[0].encode(), where + 1)
found
"""
    assert sandbox.value(code) == "0"


def test_no_descriptor_of_the_server_leaks(sandbox: Sandbox) -> None:
    code = (
        "from pathlib import Path\n"
        "[str(link.readlink()) for link in Path('/proc/self/fd').iterdir() if link.is_symlink()]"
    )
    for target in ast.literal_eval(sandbox.value(code)):
        assert target == "/dev/null" or target.startswith(("pipe:", "socket:", "/proc/")), target
    # Three of its own and the one that `ls` reads the directory with.
    assert sandbox.shell("ls /proc/self/fd | wc -l")["stdout"].strip() == "4"


def test_its_own_loopback_works(sandbox: Sandbox) -> None:
    code = """
import socket
with socket.create_server(("127.0.0.1", 0)) as s, socket.create_connection(s.getsockname()) as c:
    s.accept()[0].sendall(b"hi")
    data = c.recv(2)
data
"""
    assert sandbox.value(code) == "b'hi'"


def test_user_home_and_working_directory(sandbox: Sandbox) -> None:
    assert (
        sandbox.shell("id -un; echo $HOME; pwd; echo $TMPDIR")["stdout"]
        == "user\n/home/user\n/home/user\n/tmp\n"
    )
    assert sandbox.value("import os\nos.getcwd(), os.path.expanduser('~')") == "('/home/user', '/home/user')"


def test_its_memory_and_its_storage_are_limited(sandbox: Sandbox) -> None:
    assert "MemoryError" in sandbox.code("x = bytearray(5 << 30)")["executionError"]
    full = sandbox.shell(
        "head -c 1200M /dev/zero > /tmp/1; ls -l /tmp/1 | wc -l; rm /tmp/1", timeout_ms=30_000
    )
    assert "File size limit" in full["stderr"] or "No space left" in full["stderr"]
    assert sandbox.value("1 + 1") == "2"


def test_no_namespace_can_be_made_within(sandbox: Sandbox) -> None:
    code = "import ctypes\nctypes.CDLL(None, use_errno=True).unshare(0x10000000), ctypes.get_errno()"
    assert sandbox.value(code) == f"(-1, {errno.ENOSPC})"


def test_a_signal_to_the_agent_does_not_end_the_session(sandbox: Sandbox) -> None:
    sandbox.shell("kill -TERM 1; kill -INT 1; kill -KILL 1; kill -STOP 1; kill -HUP 1")
    assert sandbox.value("1 + 1") == "2"
