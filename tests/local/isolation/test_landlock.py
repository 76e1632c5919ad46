"""Under Landlock a session has a directory of its own and the programs; what is closed says why."""

from __future__ import annotations

import errno
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.local_server import Api, Sandbox, environment, processes_with, serving

from pytest_agb.local import syscalls
from pytest_agb.local.isolation import landlock, seccomp

pytestmark = pytest.mark.needs_landlock

CLOSED = "is outside of the session's directory and the system's folders"
NOT_PRIVATE = "/tmp is not private here; use $TMPDIR"


@pytest.fixture(scope="module")
def landlocked_api() -> Iterator[Api]:
    with serving("--isolation", "landlock") as server:
        api = Api(server)
        with api.http:
            yield api


@pytest.fixture
def landlocked(landlocked_api: Api) -> Iterator[Sandbox]:
    with landlocked_api.session() as sandbox:
        yield sandbox


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of this machine that everybody may read."""
    file = tmp_path / "secret.txt"
    file.write_text("of the host")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.stat().st_uid == os.getuid() and folder != Path("/tmp"):
            folder.chmod(0o755)
    return file


def test_code_commands_and_files_share_the_sessions_directory(landlocked: Sandbox) -> None:
    assert landlocked.tool("write_file", path="x", content="hi")[0]
    written = landlocked.shell("cat x; cat $HOME/x; mkdir $TMPDIR/d; echo there > $TMPDIR/d/y")
    assert written["stdout"] == "hihi"
    assert landlocked.tool("read_file", path="/tmp/d/y") == (True, "there\n")
    assert landlocked.value("import tempfile\nopen(tempfile.gettempdir() + '/d/y').read()") == "'there\\n'"


def test_the_machines_programs_run(landlocked: Sandbox) -> None:
    assert landlocked.tool("write_file", path="x", content="x\n")[0]
    result = landlocked.shell(
        f"{sys.executable} -c 'import json, ssl; print(json.dumps([1]))' && cat <(echo sub) /dev/stdin < x "
        "&& test -w $HOME && echo x > /dev/null && : > /dev/null "
        "&& date > $TMPDIR/date && mv $TMPDIR/date . && ls"
    )
    assert (result["stdout"], result["stderr"]) == ("[1]\nsub\nx\ndate\nx\n", "")


def test_its_processes_gain_no_privilege(landlocked: Sandbox) -> None:
    status = dict(
        line.split(":\t", 1)
        for line in landlocked.shell("cat /proc/self/status")["stdout"].splitlines()
        if ":\t" in line
    )
    # Root's sandboxes keep one, DAC_OVERRIDE, to reach what lies in root's own folders.
    kept = 0 if landlock.own_user() is None else 1 << 1
    for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[name], 16) in (0, kept), name
    assert status["NoNewPrivs"] == "1"
    assert "0" not in status["Uid"].split() or landlock.own_user() is None


@pytest.mark.parametrize("command", ["cat {}", "echo x > {}", "rm -f {}", "mv x {}", "ln {} y"])
def test_a_command_that_is_denied_a_path_says_why(landlocked: Sandbox, secret: Path, command: str) -> None:
    landlocked.shell("touch x")
    result = landlocked.shell(command.format(secret))
    assert "Permission denied" in result["stderr"] or "Invalid cross-device" in result["stderr"]
    if "Permission denied" in result["stderr"]:
        assert f"pytest-agb: {secret}" in result["stderr"].replace("/..", "")
        assert NOT_PRIVATE in result["stderr"]
    assert secret.read_text() == "of the host"


def test_code_that_is_denied_a_path_says_why(landlocked: Sandbox, secret: Path) -> None:
    for code in (f"open({str(secret)!r})", f"import os\nos.unlink({str(secret)!r})"):
        error = landlocked.code(code)["executionError"]
        assert f"Permission denied: '{secret}'" in error
        assert f"pytest-agb: {secret}: {NOT_PRIVATE}" in error
    assert f"pytest-agb: / {CLOSED}" in landlocked.code("import os\nos.listdir('/')")["executionError"]


def test_an_error_of_another_kind_is_left_alone(landlocked: Sandbox) -> None:
    result = landlocked.shell("touch x; chmod 0 x; ./x; mkdir a; touch a/x; a/x; cat /nowhere")
    assert result["stderr"].count("Permission denied") == 2
    assert "pytest-agb" not in result["stderr"]
    assert "pytest-agb" not in landlocked.code("open('nowhere')")["executionError"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/root/x", CLOSED),
        ("/var/tmp/x", NOT_PRIVATE),
        ("/dev/shm/x", NOT_PRIVATE),
        ("../../../x", "is outside"),
    ],
)
@pytest.mark.parametrize(
    "tool", ["read_file", "write_file", "get_file_info", "list_directory", "create_directory", "search_files"]
)
def test_a_file_call_that_is_denied_a_path_says_why(
    landlocked: Sandbox, tool: str, path: str, reason: str
) -> None:
    ok, text = landlocked.tool(tool, path=path, content="x", pattern="*")
    assert not ok
    assert text.startswith(f"permission denied: {path}")
    assert reason in text


def test_file_calls_read_the_systems_folders_and_change_nothing_there(landlocked: Sandbox) -> None:
    assert "DIR] bin" in landlocked.tool("list_directory", path="/usr")[1]
    assert landlocked.tool("get_file_info", path="/usr/bin/env")[0]
    for tool in ("write_file", "create_directory"):
        ok, text = landlocked.tool(tool, path="/usr/made-by-a-sandbox", content="x")
        assert (ok, text) == (False, "permission denied: /usr/made-by-a-sandbox")
    landlocked.shell("ln -s /usr/bin/env link")
    assert not landlocked.tool("edit_file", path="/usr/bin/env", edits=[{"oldText": "a", "newText": "b"}])[0]
    assert landlocked.tool("delete_file", path="link")[0]


@pytest.mark.skipif(not seccomp.available(), reason="no filter for this processor")
@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK"])
def test_no_socket_can_be_made(landlocked: Sandbox, family: str) -> None:
    for kind in ("SOCK_STREAM", "SOCK_DGRAM"):
        code = f"import socket\nsocket.socket(socket.{family}, socket.{kind})"
        assert "PermissionError" in landlocked.code(code)["executionError"]
    # What processes talk to their own children by.
    assert landlocked.value("import socket\na, b = socket.socketpair()\na.send(b'x')\nb.recv(1)") == "b'x'"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are x86-64's")
def test_no_way_leads_around_the_filter(landlocked: Sandbox) -> None:
    call = "import ctypes\nctypes.CDLL(None, use_errno=True).syscall({}, 0, 0), ctypes.get_errno()"
    io_uring_setup, getpid_of_x32 = 425, 0x40000000 + 39
    for number in (io_uring_setup, getpid_of_x32):
        assert landlocked.value(call.format(number)) == f"(-1, {errno.ENOSYS})"
    # mov eax, 20 (getpid of i386); int 0x80; ret
    program = "b8 14 00 00 00 cd 80 c3"
    code = (
        "import ctypes, mmap\n"
        f"program, area = bytes.fromhex({program!r}), mmap.mmap(-1, 4096, prot=7)\n"
        "area.write(program)\n"
        "ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(area)))()"
    )
    if subprocess.run([sys.executable, "-c", code]).returncode:
        pytest.skip("this kernel runs no 32-bit programs")
    assert landlocked.value(code) == str(-errno.ENOSYS)


@pytest.mark.skipif(os.getuid() != 0, reason="only root could read it at all")
def test_root_without_privileges_reads_no_secret_of_the_systems(landlocked: Sandbox) -> None:
    assert landlocked.shell("cat /etc/shadow")["exit_code"] == 1
    assert "denied" in landlocked.code("open('/etc/shadow')")["executionError"]
    assert not landlocked.tool("read_file", path="/etc/shadow")[0]
    assert landlocked.shell("cat /etc/passwd")["exit_code"] == 0


@pytest.mark.skipif(landlock.own_user() is None, reason="only root can give out users")
def test_each_of_roots_sessions_is_a_user_of_its_own(landlocked_api: Api) -> None:
    with landlocked_api.session() as one, landlocked_api.session() as other:
        users = [
            sandbox.value("import os\nos.getuid(), os.getgid(), os.getgroups()") for sandbox in (one, other)
        ]
        assert users[0] != users[1]
        assert not {"0", str(os.getuid())} & {user.split(",")[0].strip("(") for user in users}
        # The kernel says so to programs that ask before they try, git for one.
        assert one.value("import os\nos.access(os.path.expanduser('~'), os.W_OK | os.X_OK)") == "True"
        # It owns what is its own, so programs that ask for that are content.
        assert one.shell("stat -c %u $HOME $TMPDIR | sort -u")["stdout"].strip() in users[0]


#: Docker's own set, and none.
DOCKERS = (
    "-all,+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+net_raw,"
    "+sys_chroot,+mknod,+audit_write,+setfcap"
)


@pytest.mark.skipif(os.getuid() != 0 or not shutil.which("setpriv"), reason="it takes root, and setpriv")
@pytest.mark.parametrize("capabilities", [DOCKERS, "-all"])
def test_a_containers_root_can_serve_with_what_capabilities_it_has(capabilities: str, secret: Path) -> None:
    prefix = ("setpriv", f"--bounding-set={capabilities}", "--inh-caps=-all", "env")
    with serving("--isolation", "landlock", prefix=prefix) as server:
        api = Api(server)
        with api.http, api.session() as sandbox:
            result = sandbox.shell(f"echo x > x && cat x; cat {secret}; cat /etc/shadow; sleep 77431 &")
            assert result["stdout"] == "x\n"
            assert result["stderr"].count("Permission denied") == 2
            assert sandbox.value("import decimal, os\nos.stat('x').st_uid == os.getuid()") == "True"
        assert processes_with("77431") == []


_ATTEMPT = """
import os, sys
from pytest_agb.local.isolation import host, landlock
own, secret, victim, version = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
landlock.confine(own, landlock.readable(host.python_prefixes()), network=False, version=version)
def attempt(what, function):
    try:
        function()
    except OSError as error:
        print(what, type(error).__name__)
    else:
        print(what, "done")
attempt("read", lambda: open(secret))
attempt("cut", lambda: os.truncate(secret, 0))
attempt("write", lambda: open(secret, "a"))
attempt("own", lambda: open(own + "/x", "w").write("x"))
attempt("connect", landlock._connect)
attempt("signal", lambda: os.kill(victim, 0))
"""


@pytest.mark.skipif(not seccomp.available(), reason="no filter for this processor")
@pytest.mark.parametrize("version", range(1, 8))
def test_an_older_kernels_landlock_holds_what_it_can(version: int, secret: Path, tmp_path: Path) -> None:
    """The kernel lets a program ask for no more than an older version had."""
    if version > landlock.abi():
        pytest.skip(f"this kernel's Landlock is version {landlock.abi()}")
    own = tmp_path / "own"
    own.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _ATTEMPT, own, secret, str(os.getpid()), str(version)],
        env=environment(), capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    seen = dict(line.split() for line in done.stdout.splitlines())
    refused = dict.fromkeys(("read", "cut", "write", "connect"), "PermissionError")
    # Another user's processes are out of reach without Landlock, too.
    signal = "PermissionError" if version >= 6 or landlock.own_user() is not None else "done"
    assert seen == {**refused, "own": "done", "signal": signal}
    assert secret.read_text() == "of the host"


def test_a_kernel_that_counts_signals_in_and_has_them_not_is_served(monkeypatch: pytest.MonkeyPatch) -> None:
    """Red Hat's; played, since there is none here."""
    asked: list[bytes] = []

    def create(attributes: bytes) -> int:
        asked.append(attributes)
        if attributes[16] & 2:
            raise syscalls.StepError("landlock_create_ruleset", errno.EINVAL)
        return 7

    monkeypatch.setattr(landlock, "_create_ruleset", create)
    assert landlock._new_rules(6, (1 << 16) - 1, network=False) == (7, False)
    assert [attributes[16] for attributes in asked] == [3, 1]
