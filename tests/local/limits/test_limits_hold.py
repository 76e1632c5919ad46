"""A session can fill neither the memory nor the disk nor the process table of this machine, and lives on.

With small limits: what is shown is that they hold, not how much of this machine a test can use up.
"""

from __future__ import annotations

import re

import pytest
from support.confined import Confined
from support.deadline import eventually
from support.local_server import Sandbox, processes_with

from pytest_agb.local.limits.rlimits import Limits

MEMORY_MIB, STORAGE_MIB, FILES, PROCESSES = 192, 64, 2000, 64
LIMITS = Limits(
    memory_bytes=MEMORY_MIB << 20, storage_bytes=STORAGE_MIB << 20, files=FILES, processes=PROCESSES
)


# Each takes it slowly, as far as Python is slow: what is shown is the limit, not the speed of the watch.
GREEDY = {
    "its own": "x = []\nwhile True:\n    x.append(b'1' * (1 << 20))",
    "shared with relatives": (
        "import mmap\nx = mmap.mmap(-1, 4 << 30)\nfor at in range(0, 4 << 30, 4096):\n    x[at] = 1"
    ),
    "in files without a name": ("import os\nwhile True:\n    os.write(os.memfd_create('x'), bytes(1 << 20))"),
    "of many processes": (
        "import os, signal\nfor _ in range(20):\n    if os.fork() == 0:\n"
        "        x = b'1' * (20 << 20)\n        signal.pause()\nsignal.pause()"
    ),
}


@pytest.mark.parametrize("code", GREEDY.values(), ids=list(GREEDY))
def test_memory(lasting: Sandbox, code: str) -> None:
    error = lasting.code(code)["executionError"]
    found = re.search(r"processes were killed: (\d+) MiB of memory in use, and 192 are allowed", error)
    assert found, error
    # One interval of the watch, and then some for a machine that has other work.
    assert MEMORY_MIB <= int(found[1]) < 10 * MEMORY_MIB
    assert "variables are lost" in error


def test_memory_of_system_v(limited: Confined, lasting: Sandbox) -> None:
    code = (
        "import ctypes\nlibc = ctypes.CDLL(None)\nlibc.shmat.restype = ctypes.c_void_p\n"
        "while True:\n    segment = libc.shmget(0, 16 << 20, 0o1600)\n    assert segment >= 0, 'refused'\n"
        "    at = libc.shmat(segment, None, 0)\n    ctypes.memset(at, 1, 16 << 20)\n"
        "    libc.shmdt(ctypes.c_void_p(at))"
    )
    error = lasting.code(code)["executionError"]
    assert ("are allowed" if limited.way == "namespaces" else "refused") in error
    # It went with the processes: else the next ones would be killed for it, look after look.
    assert lasting.shell("sleep 0.6; echo lived")["stdout"] == "lived\n"


def test_memory_that_relatives_have_in_common_counts_once(lasting: Sandbox) -> None:
    code = (
        "import os, signal\nx = b'1' * (100 << 20)\nchildren = [os.fork() for _ in range(1)]\n"
        "for _ in range(5):\n    child = os.fork()\n    if child == 0:\n        signal.pause()\n"
        "    children.append(child)\nimport time\ntime.sleep(1)\n"
        "for child in children[1:]:\n    os.kill(child, 9)\n    os.waitpid(child, 0)\nlen(children)"
    )
    assert lasting.value(code) == "6"


def test_a_command_that_dies_of_the_limit_says_so(lasting: Sandbox) -> None:
    result = lasting.shell("python3 -c \"x = []\nwhile True: x.append(b'1' * (1 << 20))\"")
    assert result["exit_code"] == 137
    assert "pytest-agb: the session's processes were killed:" in result["stderr"]
    assert "192 are allowed" in result["stderr"]


def test_an_interpreter_that_dies_of_the_limit_between_calls_says_so_in_the_next(lasting: Sandbox) -> None:
    lasting.code("kept = 1")
    lasting.shell("python3 -c \"x = []\nwhile True: x.append(b'1' * (1 << 20))\"")
    answer = lasting.code("kept")
    assert "NameError" in answer["executionError"]
    assert answer["stderr"][0].startswith("[variables are lost, the interpreter was killed: ")


FILLING = {
    "large files": "for i in $(seq 12); do head -c 10M /dev/zero > $TMPDIR/$i; done",
    "deleted files": (
        'python3 -c "import tempfile, time\nfiles = [tempfile.TemporaryFile() for _ in range(12)]\n'
        'for file in files: file.write(bytes(10 << 20)); file.flush()\ntime.sleep(9)"'
    ),
    "many files": f"cd $TMPDIR && head -c 20M /dev/zero > x && touch $(seq {2 * FILES})",
}


@pytest.mark.parametrize("what", FILLING)
def test_storage(limited: Confined, lasting: Sandbox, what: str) -> None:
    if limited.way == "namespaces":
        assert "No space left on device" in lasting.shell(FILLING[what])["stderr"]
        return
    result = lasting.shell(f"{FILLING[what]}; sleep 9")
    exceeded = f"files, and {FILES}" if what == "many files" else f"MiB in files, and {STORAGE_MIB}"
    assert f"{exceeded} are allowed" in result["stderr"]
    assert result["exit_code"] == 137


def test_storage_by_file_calls(lasting: Sandbox) -> None:
    written = 0
    while (answer := lasting.tool("write_file", path=f"/tmp/{written}", content="x" * (10 << 20)))[0]:
        written += 1
        assert written < 2 * STORAGE_MIB // 10
    assert answer == (False, f"no space left in the sandbox: /tmp/{written}")
    # What is in it can be deleted, and then there is room again.
    assert lasting.shell("rm $TMPDIR/[0-9]*")["stderr"] == ""
    assert lasting.tool("write_file", path="/tmp/x", content="x")[0]


BOMBS = {
    "patient": "import os, signal\nwhile True:\n    if os.fork() == 0:\n        signal.pause()",
    "restless": "import os\nwhile True:\n    try:\n        os.fork()\n    except OSError:\n        pass",
}


@pytest.mark.parametrize("code", BOMBS.values(), ids=list(BOMBS))
def test_processes(lasting: Sandbox, code: str) -> None:
    error = lasting.code(code)["executionError"]
    assert f"processes were killed: there were more than {PROCESSES}" in error or "BlockingIOError" in error


def test_threads(lasting: Sandbox) -> None:
    code = (
        "import threading, time\nthreads = []\ntry:\n    while True:\n"
        "        threads.append(threading.Thread(target=time.sleep, args=(60,), daemon=True))\n"
        "        threads[-1].start()\nexcept RuntimeError as error:\n    print(error, len(threads))"
    )
    (text,) = lasting.code(code)["stdout"]
    assert text.startswith("can't start new thread")
    # Those that an ordinary user has besides count, too, where the user is all that is counted by.
    assert int(text.split()[-1]) <= 4 * PROCESSES


def test_a_bomb_ends_with_its_session(limited: Confined) -> None:
    mark = "77430917"
    sandbox = limited.api.create()
    sandbox.shell(f"while :; do sleep {mark} & done", timeout_ms=300)
    sandbox.release()
    eventually(lambda: not processes_with(mark), "nothing of it is left", seconds=2)
