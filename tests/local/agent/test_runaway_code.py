"""Code and commands may do what they like: it costs them, not the session, the server or this machine."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
from support.deadline import eventually
from support.local_server import Api, Sandbox, Server, processes_with


def test_code_that_never_ends_is_interrupted_and_keeps_its_variables(sandbox: Sandbox) -> None:
    sandbox.code("x = 42")
    answer = sandbox.code("print('going')\nwhile True: pass", timeout_s=0.3)
    assert "ran longer than 0.3 s and was interrupted; variables are kept" in answer["executionError"]
    assert answer["stdout"] == ["going\n"]
    assert sandbox.value("x") == "42"


def test_code_that_will_not_be_interrupted_loses_its_interpreter(sandbox: Sandbox) -> None:
    sandbox.code("x = 42")
    code = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: time.sleep(1)"
    answer = sandbox.code(code, timeout_s=0.3)
    assert "the interpreter was replaced, variables are lost" in answer["executionError"]
    assert "NameError" in sandbox.code("x")["executionError"]


def test_a_process_that_the_code_waits_for_is_interrupted_too(sandbox: Sandbox) -> None:
    sandbox.code("import subprocess")
    answer = sandbox.code("subprocess.run(['sleep', '60'])", timeout_s=0.3)
    assert "variables are kept" in answer["executionError"]
    assert sandbox.value("subprocess.__name__") == "'subprocess'"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("import os\nprint('last words', flush=True)\nos._exit(3)", "exited with status 3"),
        ("import os\nprint('last words', flush=True)\nos.kill(os.getpid(), 9)", "killed by SIGKILL"),
        ("import ctypes\nprint('last words', flush=True)\nctypes.string_at(0)", "killed by SIGSEGV"),
        # What it tells the agent by makes no sense any more.
        (
            "import contextlib, os\nprint('last words', flush=True)\nfor number in range(200, 300):\n"
            "    with contextlib.suppress(OSError): os.write(number, b'x' * 300)\n"
            "import time\ntime.sleep(60)",
            "killed by SIGKILL",
        ),
    ],
)
def test_a_crash_costs_the_interpreter_not_the_session(sandbox: Sandbox, code: str, words: str) -> None:
    sandbox.tool("write_file", path="kept", content="kept")
    answer = sandbox.code(code)
    assert words in answer["executionError"]
    assert "variables are lost" in answer["executionError"]
    assert answer["stdout"] == ["last words\n"]
    assert sandbox.value("open('kept').read()") == "'kept'"


def test_a_hundred_megabytes_of_output_are_cut_and_say_so(sandbox: Sandbox, server: Server) -> None:
    before = _resident_kib(server.process.pid)
    answer = sandbox.code("for _ in range(100): print('x' * 1024 * 1024)")
    assert not answer["executionError"]
    (text,) = answer["stdout"]
    assert len(text) < 11 * 1024 * 1024
    assert text.endswith("[output truncated: 10485760 of 104857700 bytes are shown]\n")
    result = sandbox.shell("yes | head -c 100M; echo end >&2", timeout_ms=30_000)
    assert "[output truncated: 10485760 of 104857600 bytes are shown]" in result["stdout"][-100:]
    assert result["stderr"] == "end\n"
    # Some copies of 10 MB on their way to JSON, never the 100.
    assert _resident_kib(server.process.pid) - before < 90 * 1024


def _resident_kib(pid: int) -> int:
    if not Path("/proc/self/status").exists():
        return 0
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.partition("VmRSS:")[2].split()[0])


def test_bytes_that_are_no_text_are_replaced(sandbox: Sandbox) -> None:
    assert sandbox.shell("printf 'a\\377b'")["stdout"] == "a\ufffdb"
    assert sandbox.code("import os\n_ = os.write(1, b'a\\xffb')")["stdout"] == ["a\ufffdb"]
    assert sandbox.code("print('\\ud800')")["stdout"] == ["\\ud800\n"]


def test_a_command_out_of_time_is_killed_with_all_it_started(sandbox: Sandbox) -> None:
    mark = f"31{os.getpid()}7"
    command = f"echo before; sleep {mark} & (setsid env -i sleep {mark} > /dev/null 2>&1 &) ; sleep {mark}"
    started = time.monotonic()
    result = sandbox.shell(command, timeout_ms=300)
    assert time.monotonic() - started < 5
    assert not result["ok"]
    assert "timed out after 300 ms" in result["stderr"]
    assert (result["stdout"], result["exit_code"]) == ("before\n", 124)
    # Also what detached itself, from its environment too.
    eventually(lambda: not processes_with(f"sleep\0{mark}"), "the command's processes are gone")


def test_a_timeout_leaves_the_daemons_of_other_commands(sandbox: Sandbox) -> None:
    mark = f"34{os.getpid()}7"
    sandbox.shell(f"(setsid sleep {mark} > /dev/null 2>&1 &)")
    assert not sandbox.shell("sleep 60", timeout_ms=200)["ok"]
    assert len(processes_with(f"sleep\0{mark}")) == 1


def test_a_daemon_does_not_hold_its_command_and_lives_until_the_session_ends(api: Api) -> None:
    sandbox = api.create()
    mark = f"32{os.getpid()}7"
    started = time.monotonic()
    # Its output stays open, and it goes on writing.
    result = sandbox.shell(
        f"(while echo tick; do sleep 0.0{mark}; done) & sleep {mark} & nohup setsid sleep {mark} & echo up"
    )
    assert time.monotonic() - started < 5
    assert "up\n" in result["stdout"]
    assert len(processes_with(f"sleep\0{mark}")) == 2
    assert sandbox.shell("echo next")["stdout"] == "next\n"
    assert len(processes_with(f"sleep\0{mark}")) == 2
    assert sandbox.release()["success"]
    # Gone when the release has answered, not some time later.
    assert processes_with(mark) == []


def test_a_process_of_the_code_lives_between_calls_and_ends_with_the_session(api: Api) -> None:
    sandbox = api.create()
    mark = f"33{os.getpid()}7"
    sandbox.code(f"import subprocess\np = subprocess.Popen(['sleep', '{mark}'])")
    assert sandbox.value("p.poll()\np.poll() is None") == "True"
    sandbox.code("import os; os._exit(1)")
    assert len(processes_with(mark)) == 1
    sandbox.release()
    assert processes_with(mark) == []


def test_a_release_ends_code_under_way(api: Api) -> None:
    import threading

    sandbox = api.create()
    answers: list[tuple[bool, str]] = []
    code = "import os, time\nopen('started', 'w').close()\ntime.sleep(60)"
    call = threading.Thread(
        target=lambda: answers.append(sandbox.tool("run_code", code=code, language="python", timeout_s=60))
    )
    call.start()
    eventually(lambda: sandbox.tool("get_file_info", path="started")[0], "the code runs")
    sandbox.release()
    call.join(10)
    assert not call.is_alive()
    assert answers[0][0] is False
    assert "released" in answers[0][1]
