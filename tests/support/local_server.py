"""Start a real server as people do, and talk to it without the SDK."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import sysconfig
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_agb.local.limits.rlimits import Limits

IMAGE = "agb-code-space-1"
_ROOT = Path(__file__).parents[2]
#: Runs a command in a user namespace in which no other can be made.
FORBIDDEN = ("unshare", "-Ur", "sh", "-c", 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"', "sh")


def without_landlock(number: int) -> tuple[str, ...]:
    """Runs a command for which Landlock's first system call ends with this error."""
    return refusing({444: number})


def refusing(calls: dict[int, int]) -> tuple[str, ...]:
    """Runs a command for which the system calls of these numbers end with these errors."""
    code = (
        "import os, sys; from pytest_agb.local import syscalls; syscalls.prctl(38, 1); "
        "from pytest_agb.local.isolation import seccomp; "
        f"seccomp.refuse({calls}); os.execvp(sys.argv[1], sys.argv[1:])"
    )
    return (sys.executable, "-c", code)


@dataclass
class Server:
    """A `pytest-agb serve` that answers."""

    process: subprocess.Popen[str]
    endpoint: str
    api_key: str = field(repr=False)


def command(*arguments: str, python: str = sys.executable) -> list[str]:
    return [python, "-m", "pytest_agb", "serve", *arguments]


def environment(**more: str) -> dict[str, str]:
    """The environment of a server. The secrets in it must not be seen by sandboxes."""
    # The packages, too: another interpreter than ours may run the server.
    path = f"{_ROOT}:{sysconfig.get_path('purelib')}"
    secrets = {"AGB_API_KEY": "of-the-cloud", "LEAK_MARKER": "leaked"}
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **secrets, **more}


# Limits are no option of `serve`: what tests may use up is much less than what sandboxes may.
_WITH_LIMITS = """
import functools, sys
from pytest_agb import cli
from pytest_agb.local.limits import rlimits as limits; from pytest_agb.local import server
server.ServerConfig = functools.partial(server.ServerConfig, limits=limits.{limits!r})
sys.exit(cli.main(sys.argv[1:]))
"""


@contextmanager
def serving(
    *arguments: str,
    prefix: tuple[str, ...] = (),
    python: str = sys.executable,
    limits: Limits | None = None,
) -> Iterator[Server]:
    """Run a server with these arguments, under the command ``prefix`` if one is given."""
    line = command(*arguments, python=python)
    if limits is not None:
        line[1:3] = ["-c", _WITH_LIMITS.format(limits=limits)]
    process = subprocess.Popen(
        [*prefix, *line],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            lines = [process.stdout.readline().rstrip("\n") for _ in range(2)]
            assert lines[0].startswith("AGB_ENDPOINT=http://127.0.0.1:"), (lines, process.stderr.read())
            assert lines[1].startswith("AGB_API_KEY="), lines
            yield Server(process, lines[0].partition("=")[2], lines[1].partition("=")[2])
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise


class Api:
    """The wire, by hand."""

    def __init__(self, server: Server) -> None:
        self.http = httpx.Client(
            base_url=server.endpoint,
            headers={"authorization": f"Bearer {server.api_key}"},
            timeout=90,
            trust_env=False,
            # Concurrent tests hold many at once.
            limits=httpx.Limits(max_connections=100, max_keepalive_connections=100),
        )

    def post(self, path: str, body: dict[str, Any] | None = None, **query: str) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.post(path, json=body or {}, params=query).json()
        return answer

    def create(self, **body: Any) -> Sandbox:
        answer = self.post("/mcp/createSession", body, imageId=IMAGE)
        assert answer["success"], answer
        return Sandbox(self, answer["data"]["sessionId"])

    @contextmanager
    def session(self, **body: Any) -> Iterator[Sandbox]:
        sandbox = self.create(**body)
        try:
            yield sandbox
        finally:
            sandbox.release()


@dataclass(frozen=True)
class Sandbox:
    """One session and its tools."""

    api: Api
    session_id: str

    def tool(self, name: str, **arguments: Any) -> tuple[bool, str]:
        """Call a tool; return whether it went well, and its text."""
        answer = self.api.post(
            "/mcp", {"name": name, "sessionId": self.session_id, "args": json.dumps(arguments)}
        )
        if "data" not in answer:
            return False, f"{answer['code']}: {answer['message']}"
        return not answer["data"]["isError"], answer["data"]["content"][0]["text"]

    def code(self, code: str, timeout_s: float = 30) -> dict[str, Any]:
        ok, text = self.tool("run_code", code=code, language="python", timeout_s=timeout_s)
        assert ok, text
        answer: dict[str, Any] = json.loads(text)
        return answer

    def value(self, expression: str) -> str:
        """Run code and return what its last expression shows."""
        answer = self.code(expression)
        assert not answer["executionError"], answer
        text: str = json.loads(answer["result"][0])["text/plain"]
        return text

    def shell(self, command: str, timeout_ms: int = 20_000, **more: Any) -> dict[str, Any]:
        ok, text = self.tool("shell", command=command, timeout_ms=timeout_ms, **more)
        assert text.startswith("{"), text
        return {"ok": ok, **json.loads(text)}

    def release(self) -> dict[str, Any]:
        return self.api.post("/mcp/releaseSessionAsync", {"sessionId": self.session_id})


@functools.cache
def can_forbid_namespaces() -> bool:
    """Whether `FORBIDDEN` works on this machine."""
    try:
        return not subprocess.run([*FORBIDDEN, "true"], capture_output=True).returncode
    except FileNotFoundError:
        return False


def processes_with(marker: str) -> list[int]:
    """The processes of this machine whose command line has ``marker``."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
            except OSError:
                continue
            if marker.encode() in line and state not in "ZX":
                found.append(int(entry.name))
    return found


def parent_of(pid: int) -> int:
    """The parent of a process of this machine; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0


class MemoryWatch:
    """How much more memory the server and its agents took at their peaks than when the watch began."""

    def __init__(self, server: Server) -> None:
        parents = {
            int(entry.name): parent_of(int(entry.name))
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit()
        }
        family = {server.process.pid}
        while more := {pid for pid, parent in parents.items() if parent in family} - family:
            family |= more
        self._before: dict[int, int] = {}
        for pid in family:
            with suppress(PermissionError):  # the server shows itself to root alone: its peak so far counts
                Path(f"/proc/{pid}/clear_refs").write_text("5")  # the peak is counted anew
            self._before[pid] = self._kib(pid, "VmRSS")

    @staticmethod
    def _kib(pid: int, name: str) -> int:
        text = Path(f"/proc/{pid}/status").read_text()
        return int(text.partition(f"{name}:")[2].split()[0])

    def growth_mib(self) -> dict[int, float]:
        """By process, for those that live still."""
        return {
            pid: (self._kib(pid, "VmHWM") - before) / 1024
            for pid, before in self._before.items()
            if parent_of(pid)
        }
