"""However the server ends, its sandboxes end with it, daemons included; and sessions end by themselves."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from support.deadline import eventually
from support.local_server import Api, command, environment, processes_with, serving
from support.variants import slow_but

from pytest_agb.local.isolation.choose import obstacle_to
from pytest_agb.local.sessions.registry import SessionNotFoundError, Sessions
from pytest_agb.local.sessions.rules import SessionRules

ISOLATION = ("namespaces", "landlock", "none")


@pytest.mark.parametrize(
    ("number", "isolation"),
    slow_but(
        lambda number, isolation: (
            (signal.SIGKILL, signal.SIGTERM, signal.SIGINT).index(number) == ISOLATION.index(isolation)
        ),
        [signal.SIGKILL, signal.SIGTERM, signal.SIGINT],
        ISOLATION,
    ),
)
def test_sandboxes_end_with_the_server(number: int, isolation: str, tmp_path: Path) -> None:
    if isolation != "none" and obstacle_to(isolation):
        pytest.skip(f"no {isolation} on this machine: there is nothing to test")
    mark = f"4{number}{os.getpid()}{len(isolation)}"
    with serving("--isolation", isolation, prefix=("env", f"TMPDIR={tmp_path}")) as server:
        api = Api(server)
        with api.http:
            for _ in range(2):
                sandbox = api.create()
                sandbox.shell(f"sleep {mark} & nohup setsid sleep {mark} & echo up")
                sandbox.code(
                    f"import subprocess\nsubprocess.Popen(['sleep', '{mark}'], start_new_session=True)"
                )
            assert len(processes_with(mark)) == 6
            server.process.send_signal(number)
            if number == signal.SIGKILL:
                eventually(lambda: not processes_with(mark), "all are gone", seconds=1.0)
            assert server.process.wait(10) == (-9 if number == signal.SIGKILL else 0)
            assert processes_with(mark) == []
            eventually(lambda: not list(tmp_path.iterdir()), "nothing is left on disk")


def test_the_end_leaves_no_directory_and_answers_calls_under_way(tmp_path: Path) -> None:
    import threading

    with serving("--isolation", "none", prefix=("env", f"TMPDIR={tmp_path}")) as server:
        api = Api(server)
        with api.http:
            sandbox = api.create()
            assert next(tmp_path.iterdir()).stat().st_mode & 0o777 == 0o700
            answers: list[tuple[bool, str]] = []
            call = threading.Thread(
                target=lambda: answers.append(
                    sandbox.tool("shell", command="touch up; sleep 60", timeout_ms=60_000)
                )
            )
            call.start()
            eventually(lambda: sandbox.tool("get_file_info", path="up")[0], "the command runs")
            started = time.monotonic()
            server.process.terminate()
            assert server.process.wait(10) == 0
            assert time.monotonic() - started < 5
            call.join(10)
            assert "shutting down" in answers[0][1]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_can_make_no_more_sandboxes_ends_and_says_why() -> None:
    with serving("--isolation", "any") as server:
        children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
        if not children.exists():
            pytest.skip("no list of a process's children on this machine: the fork server can't be found")
        (fork_server,) = children.read_text().split()
        os.kill(int(fork_server), signal.SIGKILL)
        assert server.process.wait(10) == 2
        assert server.process.stderr is not None
        assert "the fork server died" in server.process.stderr.read()


def test_a_port_that_is_taken_is_named() -> None:
    with serving("--isolation", "any") as server:
        port = server.endpoint.rpartition(":")[2]
        second = subprocess.run(
            command("--port", port, "--isolation", "any"),
            env=environment(),
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert second.returncode == 2
        assert f"can't listen on 127.0.0.1:{port}" in second.stderr
        assert second.stdout == ""


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    (tmp_path / "uvicorn.py").write_text("raise ImportError('not installed')")
    done = subprocess.run(
        command("--isolation", "none"),
        env=environment(PYTHONPATH=f"{tmp_path}:{environment()['PYTHONPATH']}"),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 2
    assert "pip install 'pytest-agb[local]'" in done.stderr


class _NoForkServer:
    """Makes nothing: for the clock's sake."""

    async def spawn(self, name: str) -> Any:
        class Nothing:
            def close(self, reason: str) -> None: ...

        return Nothing()

    async def end(self, name: str) -> None: ...


def _sessions(now: list[float]) -> Sessions:
    return Sessions(
        _NoForkServer(),  # type: ignore[arg-type]
        SessionRules(),
        clock=lambda: now[0],
    )


def test_an_idle_session_is_released_and_looking_at_it_is_no_use() -> None:
    async def scenario() -> None:
        now = [0.0]
        sessions = _sessions(now)
        session = await sessions.create("agb-code-space-1", {}, 60)
        now[0] = 59
        sessions.get(session.session_id)  # use
        now[0] = 118
        sessions.peek(session.session_id)
        await sessions.release_expired()
        assert sessions.find({}) == [session]
        now[0] = 119
        await sessions.release_expired()
        with pytest.raises(SessionNotFoundError):
            sessions.get(session.session_id)

    asyncio.run(scenario())


def test_a_session_at_work_is_not_idle_but_grows_old() -> None:
    async def scenario() -> None:
        now = [0.0]
        sessions = _sessions(now)
        session = await sessions.create("agb-code-space-1", {}, None)
        session.busy = 1
        now[0] = 1799
        await sessions.release_expired()
        assert sessions.find({}) == [session]
        now[0] = 1800
        await sessions.release_expired()
        assert sessions.find({}) == []

    asyncio.run(scenario())


def test_an_idle_session_really_goes(api: Api) -> None:
    sandbox = api.create(timeout=0.5)
    eventually(
        lambda: (
            api.post("/mcp/getSessionInfo", {"sessionId": sandbox.session_id})["code"]
            == "InvalidMcpSession.NotFound"
        ),
        "the idle session is released",
    )
