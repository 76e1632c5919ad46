"""Code runs as in a notebook: what one call leaves, the next finds."""

from __future__ import annotations

import json
import threading
import time

from support.local_server import Sandbox


def test_variables_functions_and_imports_last(sandbox: Sandbox) -> None:
    sandbox.code("import math\nx = 41\ndef more(n):\n    return n + 1")
    assert sandbox.value("more(x), math.floor(2.5)") == "(42, 2)"


def test_an_error_costs_nothing_but_its_call(sandbox: Sandbox) -> None:
    sandbox.code("x = 1")
    error = sandbox.code("print('before')\ny = undefined")
    assert error["stdout"] == ["before\n"]
    assert "NameError: name 'undefined' is not defined" in error["executionError"]
    assert "y = undefined" in error["executionError"]
    assert "pytest_agb" not in error["executionError"]  # nothing of ours in the traceback
    assert sandbox.value("x") == "1"


def test_syntax_errors_and_exits_are_told(sandbox: Sandbox) -> None:
    assert "SyntaxError" in sandbox.code("def")["executionError"]
    assert sandbox.code("import sys; sys.exit(3)")["executionError"] == "SystemExit: 3"
    assert sandbox.code("import sys; sys.exit()")["executionError"] == ""
    assert "EOFError" in sandbox.code("input()")["executionError"]


def test_only_a_last_expression_is_a_result(sandbox: Sandbox) -> None:
    assert sandbox.code("1\n2\nx = 3")["result"] == []
    assert sandbox.code("None")["result"] == []
    assert sandbox.code("5;")["result"] == []
    assert sandbox.value("1\n2") == "2"


def test_rich_objects_show_what_they_offer(sandbox: Sandbox) -> None:
    code = "class R:\n def _repr_html_(self): return '<b>'\n def _repr_png_(self): return b'png'\nR()"
    bundle = json.loads(sandbox.code(code)["result"][0])
    assert (bundle["text/html"], bundle["image/png"]) == ("<b>", "cG5n")


def test_await_needs_no_function(sandbox: Sandbox) -> None:
    assert sandbox.value("import asyncio\nawait asyncio.sleep(0, 'done')") == "'done'"


def test_output_of_processes_is_the_calls_own(sandbox: Sandbox) -> None:
    answer = sandbox.code(
        "import os, subprocess\nos.system('echo a')\nsubprocess.run(['sh', '-c', 'echo b >&2'])\nprint('c')"
    )
    assert (answer["stdout"], answer["stderr"]) == (["a\nc\n"], ["b\n"])


def test_modules_written_as_files_can_be_imported(sandbox: Sandbox) -> None:
    sandbox.tool("write_file", path="mine.py", content="answer = 42")
    assert sandbox.value("import mine\nmine.answer") == "42"


def test_a_forked_process_does_not_answer_for_its_parent(sandbox: Sandbox) -> None:
    assert sandbox.value("import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\npid > 0") == "True"
    assert sandbox.value("'next'") == "'next'"


def test_executions_are_counted(sandbox: Sandbox) -> None:
    assert [sandbox.code("1")["execution_count"] for _ in range(3)] == [1, 2, 3]


def test_files_and_commands_do_not_wait_for_code(sandbox: Sandbox) -> None:
    running = threading.Thread(
        target=sandbox.code,
        args=("import os, time\nwhile not os.path.exists(os.environ['TMPDIR'] + '/go'): time.sleep(0.01)",),
    )
    running.start()
    try:
        started = time.monotonic()
        assert sandbox.shell("echo quick")["stdout"] == "quick\n"
        assert sandbox.tool("write_file", path="x", content="y")[0]
        assert time.monotonic() - started < 5
        assert running.is_alive()
    finally:
        sandbox.shell("touch $TMPDIR/go")
        running.join(30)
    assert not running.is_alive()
