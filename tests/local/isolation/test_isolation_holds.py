"""What a sandbox is kept from, in each way of isolation, for root's server and for an ordinary user's.

Tried from code, from commands and from file calls. What Landlock can't hold: docs/isolation.md.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.confined import Confined
from support.deadline import eventually
from support.local_server import Api, Sandbox, processes_with, serving

from pytest_agb.local.isolation import choose

SECRET = "of-the-host"


@pytest.fixture
def other(confined: Confined) -> Iterator[Sandbox]:
    with confined.api.session() as sandbox:
        yield sandbox


@pytest.fixture
def bystander(confined: Confined) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the user that runs the server, with a secret in its environment."""
    environment = {**os.environ, "SECRET": SECRET}
    with subprocess.Popen([*confined.prefix, "sleep", "600"], env=environment) as process:
        yield process
        process.kill()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of this machine where everybody may read and write."""
    folder = Path(f"/var/tmp/agb-test-{os.getpid()}-{time.monotonic_ns()}")
    folder.mkdir()
    folder.chmod(0o777)
    (folder / "file").write_text(SECRET)
    (folder / "file").chmod(0o666)
    yield folder
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def _code(sandbox: Sandbox, code: str) -> str:
    answer = sandbox.code(code)
    return "".join([*answer["stdout"], *answer["stderr"], answer["executionError"]])


def _shell(sandbox: Sandbox, command: str) -> str:
    answer = sandbox.shell(command)
    return f"{answer['stdout']}{answer['stderr']}"


def _running(mark: str, number: int = 1) -> list[int]:
    """The host's numbers of so many ``sleep mark`` of sandboxes."""
    eventually(lambda: len(processes_with(f"sleep\0{mark}")) == number, f"{number} sleep {mark}")
    return processes_with(f"sleep\0{mark}")


READ: dict[str, Callable[[Sandbox, str], str]] = {
    "code": lambda sandbox, path: _code(sandbox, f"print(open({path!r}, errors='replace').read())"),
    "shell": lambda sandbox, path: _shell(sandbox, f"cat {path}"),
    "files": lambda sandbox, path: sandbox.tool("read_file", path=path)[1],
}
CHANGES = """
import contextlib, os
path = {path!r}
for change in (
    lambda: open(path, "a").write("x"),
    lambda: os.truncate(path, 0),
    lambda: os.unlink(path),
    lambda: open(path + "2", "w"),
    lambda: os.rename(path, path + "3"),
):
    with contextlib.suppress(OSError):
        change()
"""


def _change_by_file_calls(sandbox: Sandbox, path: str) -> None:
    sandbox.tool("edit_file", path=path, edits=[{"oldText": SECRET, "newText": "x"}])
    sandbox.tool("write_file", path=path, content="x")
    sandbox.tool("delete_file", path=path)
    sandbox.tool("move_file", source=path, destination=f"{path}3")
    sandbox.tool("create_directory", path=f"{path}4")


CHANGE: dict[str, Callable[[Sandbox, str], object]] = {
    "code": lambda sandbox, path: _code(sandbox, CHANGES.format(path=path)),
    "shell": lambda sandbox, path: _shell(
        sandbox, f"echo x > {path}; echo x > {path}2; rm -f {path}; mv {path} {path}3; ln -f /bin/sh {path}"
    ),
    "files": _change_by_file_calls,
}
by_reading = pytest.mark.parametrize("read", READ.values(), ids=list(READ))
by_changing = pytest.mark.parametrize("change", CHANGE.values(), ids=list(CHANGE))


@by_reading
def test_files_of_the_host_cannot_be_read(
    inside: Sandbox, open_folder: Path, read: Callable[[Sandbox, str], str]
) -> None:
    assert SECRET not in read(inside, str(open_folder / "file"))
    inside.shell(f"ln -s {open_folder} folder; ln -s {open_folder}/file link")
    for path in ("folder/file", "link", f"/proc/self/root{open_folder}/file"):
        assert SECRET not in read(inside, path)
    # What can't be shown by its absence: the same call reads what is the session's.
    inside.tool("write_file", path="own", content="mine")
    assert "mine" in read(inside, "own")


@by_changing
def test_files_of_the_host_cannot_be_changed(
    inside: Sandbox, open_folder: Path, change: Callable[[Sandbox, str], object]
) -> None:
    change(inside, str(open_folder / "file"))
    assert [path.name for path in open_folder.iterdir()] == ["file"]
    assert (open_folder / "file").read_text() == SECRET
    inside.tool("write_file", path="own", content="mine")
    change(inside, inside.shell("echo $HOME/own")["stdout"].strip())
    assert inside.shell("cat own")["stdout"] != "mine"


@by_changing
def test_the_systems_folders_cannot_be_changed(
    inside: Sandbox, change: Callable[[Sandbox, str], object]
) -> None:
    before = sorted(Path("/usr/local").iterdir()), Path("/etc/passwd").read_bytes()
    change(inside, "/usr/local/made-by-a-sandbox")
    change(inside, "/etc/passwd")
    assert (sorted(Path("/usr/local").iterdir()), Path("/etc/passwd").read_bytes()) == before


@by_reading
@by_changing
def test_files_of_another_session_can_neither_be_read_nor_changed(
    inside: Sandbox,
    other: Sandbox,
    read: Callable[[Sandbox, str], str],
    change: Callable[[Sandbox, str], object],
) -> None:
    home, temporary = other.shell("echo $HOME; echo $TMPDIR")["stdout"].split()
    for path in (f"{home}/file", f"{temporary}/file"):
        assert other.tool("write_file", path=path, content=SECRET)[0]
        assert SECRET not in read(inside, path)
        change(inside, path)
        assert other.tool("read_file", path=path) == (True, SECRET)


@by_reading
def test_what_other_processes_hold_cannot_be_read(
    confined: Confined,
    inside: Sandbox,
    other: Sandbox,
    bystander: subprocess.Popen[bytes],
    read: Callable[[Sandbox, str], str],
) -> None:
    mark = f"77{os.getpid()}1"
    other.shell(f"SECRET={SECRET} sleep {mark} & echo")
    (of_other,) = _running(mark)
    server = confined.server.process.pid
    (fork_server,) = Path(f"/proc/{server}/task/{server}/children").read_text().split()
    refusals = ("denied", "not found", "No such file", "not permitted")
    for pid in (bystander.pid, of_other, server, fork_server, os.getpid()):
        for what in ("environ", "maps", "mem", "auxv", "fd/0"):
            text = read(inside, f"/proc/{pid}/{what}")
            assert any(words in text for words in refusals), text
        assert "->" not in _shell(inside, f"ls -l /proc/{pid}/fd /proc/{pid}/cwd /proc/{pid}/root/")


def test_other_processes_cannot_be_traced(
    confined: Confined, inside: Sandbox, bystander: subprocess.Popen[bytes]
) -> None:
    code = "import ctypes\nctypes.CDLL(None).ptrace(16, {}, 0, 0)"
    for pid in (bystander.pid, confined.server.process.pid):
        assert inside.value(code.format(pid)) == "-1"


@pytest.mark.parametrize("means", ["code", "shell"])
def test_other_processes_cannot_be_signalled(
    confined: Confined, inside: Sandbox, other: Sandbox, bystander: subprocess.Popen[bytes], means: str
) -> None:
    if confined.way == "landlock" and "signals" not in choose.held_by_landlock():
        pytest.skip("this kernel's Landlock does not hold signals, and the header says so")
    mark = f"77{os.getpid()}2"
    other.shell(f"sleep {mark} & echo")
    (of_other,) = _running(mark)
    for pid in (bystander.pid, of_other, confined.server.process.pid):
        if means == "code":
            _code(inside, f"import os\nos.kill({pid}, 9)")
        else:
            _shell(inside, f"kill -9 {pid}; kill -9 -{pid}; pkill -9 -f {mark}; kill -9 -1")
    assert bystander.poll() is None
    assert len(processes_with(f"sleep\0{mark}")) == 1
    assert confined.server.process.poll() is None
    assert other.value("1 + 1") == "2"


REACH = {
    "TCP": "s = socket.create_connection(('127.0.0.1', {port}), 2)\ns.sendall(b'hi')\ns.close()",
    "UDP": "s = socket.socket(type=socket.SOCK_DGRAM)\ns.sendto(b'hi', ('127.0.0.1', {port}))\ns.close()",
    "abstract": "s = socket.socket(socket.AF_UNIX)\ns.connect('\\0agb-{port}')\ns.sendall(b'hi')\ns.close()",
    "path": "s = socket.socket(socket.AF_UNIX)\ns.connect('{folder}/socket')\ns.sendall(b'hi')\ns.close()",
}


def _listen(kind: str, folder: Path) -> tuple[socket.socket, int]:
    listener = socket.socket(
        socket.AF_INET if kind in ("TCP", "UDP") else socket.AF_UNIX,
        socket.SOCK_DGRAM if kind == "UDP" else socket.SOCK_STREAM,
    )
    port = os.getpid()
    if kind in ("TCP", "UDP"):
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    elif kind == "abstract":
        listener.bind(f"\0agb-{port}")
    else:
        listener.bind(f"{folder}/socket")
        (folder / "socket").chmod(0o777)
    if kind != "UDP":
        listener.listen()
    listener.setblocking(False)
    return listener, port


def _got(listener: socket.socket, kind: str) -> bool:
    try:
        if kind == "UDP":
            return listener.recv(10) == b"hi"
        with listener.accept()[0]:
            return True
    except BlockingIOError:
        return False


@pytest.mark.parametrize("kind", list(REACH))
def test_the_hosts_network_is_out_of_reach(inside: Sandbox, open_folder: Path, kind: str) -> None:
    listener, port = _listen(kind, open_folder)
    with listener:
        error = _code(inside, "import socket\n" + REACH[kind].format(port=port, folder=open_folder))
        assert not _got(listener, kind)
        if kind != "UDP":  # which does not tell whether anybody listens
            assert "Error" in error
        # From outside it is there: else nothing would have been shown.
        exec("import socket\n" + REACH[kind].format(port=port, folder=open_folder), {})
        assert _got(listener, kind)


def test_the_api_is_out_of_reach(confined: Confined, inside: Sandbox) -> None:
    _, _, port = confined.server.endpoint.rpartition(":")
    command = f"exec 3<>/dev/tcp/127.0.0.1/{port} && echo reached"
    assert "reached" not in inside.shell(command)["stdout"]


def test_with_the_hosts_network_the_host_and_the_api_are_in_reach(
    confined: Confined, open_folder: Path
) -> None:
    arguments = ("--isolation", confined.way, "--network", "host")
    with serving(*arguments, prefix=confined.prefix, python=confined.python) as server:
        api = Api(server)
        with api.http, api.session() as sandbox:
            for kind in ("TCP", "UDP"):
                listener, port = _listen(kind, open_folder)
                with listener:
                    assert _code(sandbox, "import socket\n" + REACH[kind].format(port=port, folder="")) == ""
                    assert _got(listener, kind)
            code = f"import urllib.request\nurllib.request.urlopen('{server.endpoint}/mcp')"
            assert "HTTP Error 401" in _code(sandbox, code)
            # The rest is as closed as before.
            assert SECRET not in READ["code"](sandbox, str(open_folder / "file"))
        server.process.terminate()
        assert server.process.stderr is not None
        assert "the network is this machine's" in server.process.stderr.read()


def test_a_deleted_session_loses_its_processes_at_once(confined: Confined) -> None:
    mark = f"77{os.getpid()}3"
    seconds = []
    for _ in range(5):
        sandbox = confined.api.create()
        daemons = f"(setsid nohup sleep {mark} &); (trap '' TERM HUP; sleep {mark}) & echo"
        sandbox.shell(f"sleep {mark} & {daemons}")
        sandbox.code(f"import subprocess\nsubprocess.Popen(['sleep', '{mark}'], start_new_session=True)")
        _running(mark, 4)
        started = time.perf_counter()
        sandbox.release()
        seconds.append(time.perf_counter() - started)
        assert processes_with(mark) == []
    # The best of some: this machine may be busy with something else.
    assert min(seconds) < 0.1, seconds
