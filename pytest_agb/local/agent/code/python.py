"""The Python interpreter of a session: a child of the agent that runs one piece of code after another.

Each runs in the same ``__main__``. The value of a last expression is the result, as in a notebook.
"""

# Runs in every sandbox, where pathlib would be memory for nothing: paths are strings.
# ruff: noqa: PTH120

from __future__ import annotations

import ast
import builtins
import contextlib
import fcntl
import io
import linecache
import os
import signal
import sys
import traceback
import types
from typing import Any, NoReturn

from pytest_agb.local import syscalls
from pytest_agb.local.agent.code import frames, notebook
from pytest_agb.local.agent.code.display import target

#: Where our own code lives, of which tracebacks shall not speak.
_OURS = os.path.dirname(__file__)
_running = False


def main(requests: int, replies: int, stdout: int, stderr: int) -> NoReturn:
    """Be the interpreter, in a process just forked from the agent."""
    status = 1
    try:
        requests, replies = _tidy(requests, replies, stdout, stderr)
        _loop(requests, replies, _new_main_module())
        status = 0
    finally:
        os._exit(status)


def _tidy(requests: int, replies: int, stdout: int, stderr: int) -> tuple[int, int]:
    """Leave nothing of the agent's but the pipes; return the descriptors of requests and replies."""
    signal.set_wakeup_fd(-1)
    for received in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(received, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _on_interrupt)
    os.setsid()  # a process group of its own, to be interrupted as a whole
    if sys.platform.startswith("linux"):
        syscalls.set_dumpable(True)  # without, its own /proc/self/fd is closed to it
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    # High up, where code that counts on the lowest descriptors does not meet them.
    first = fcntl.fcntl(requests, fcntl.F_DUPFD_CLOEXEC, 200)
    second = fcntl.fcntl(replies, fcntl.F_DUPFD_CLOEXEC, first + 1)
    os.closerange(3, first)
    os.closerange(first + 1, second)
    os.closerange(second + 1, second + 200)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    for name, number in (("stdout", 1), ("stderr", 2)):
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.__stdin__ = sys.stdin  # type: ignore[misc]
    return first, second


def _new_main_module() -> dict[str, Any]:
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv = [""]
    sys.path.insert(0, "")  # modules that were written into the working directory
    notebook.install()
    return module.__dict__


def _on_interrupt(*_: object) -> None:
    if _running:
        raise KeyboardInterrupt


def _loop(requests: int, replies: int, variables: dict[str, Any]) -> None:
    decoder = frames.Decoder()
    pid = os.getpid()

    def send(*sent: tuple[str, bytes | str]) -> None:
        data = b"".join(frames.encode(name, body) for name, body in sent)
        while data:
            data = data[os.write(replies, data) :]

    def show(bundle: dict[str, bytes], is_main: bool) -> None:
        _flush()  # what was printed before it comes before it
        if os.getpid() == pid:  # a process that the code forked has no voice here
            send(*bundle.items(), ("main" if is_main else "display", b""))

    target.show = show
    send(("ready", b""))
    count = 0
    while True:
        data = os.read(requests, 1 << 18)
        if not data:
            return
        for name, body in decoder.feed(data):
            if name == "count":
                count = int(body)
            elif name == "code":
                error = run(body.decode("utf-8", "replace"), count, variables)
                _flush()
                if os.getpid() != pid:
                    os._exit(0)  # ... and must not answer for it
                send(*error.items(), ("end", b""))


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # the code may have put anything in their place
            stream.flush()


def run(code: str, count: int, variables: dict[str, Any]) -> dict[str, str]:
    """Run ``code``; return what went wrong, as the frames that tell of it, or nothing."""
    global _running
    name = f"<cell {count}>"
    # Tracebacks show the lines of the code.
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    signal.signal(signal.SIGINT, _on_interrupt)  # the code before may have put another in place
    try:
        _running = True
        try:
            if not code.strip():
                return _error("ValueError", "no code was given")
            try:
                value = _execute(code, name, variables)
                if value is not None:
                    target.value(value)
                    variables["_"] = value
            finally:
                notebook.show_figures()
        finally:
            _running = False
    except SystemExit as error:
        return {} if error.code in (None, 0) else _error("SystemExit", str(error.code))
    except KeyboardInterrupt:
        return _error("KeyboardInterrupt", "", _traceback(name) or "KeyboardInterrupt")
    except BaseException as error:
        return _error(type(error).__name__, _text_of(error), _traceback(name))
    return {}


def _error(name: str, value: str, text: str = "") -> dict[str, str]:
    return {"error-name": name, "error-value": value, "error": text or f"{name}: {value}"}


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:  # the user's own __str__
        return f"<its text can't be had: {type(failure).__name__}>"


def _execute(code: str, name: str, variables: dict[str, Any]) -> object:
    """Run the statements, and return the value of a last expression."""
    tree = ast.parse(code, name)
    last: ast.Expression | None = None
    if tree.body and isinstance(tree.body[-1], ast.Expr) and not code.rstrip().endswith(";"):
        last = ast.Expression(tree.body.pop().value)  # type: ignore[attr-defined]
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    _evaluate(compile(tree, name, "exec", flags, dont_inherit=True), variables)
    if last is None:
        return None
    return _evaluate(compile(last, name, "eval", flags, dont_inherit=True), variables)


def _evaluate(compiled: types.CodeType, variables: dict[str, Any]) -> object:
    value = eval(compiled, variables)
    if compiled.co_flags & 0x80:  # CO_COROUTINE: an `await` outside of a function
        import asyncio  # 40 ms, for those who use it

        return asyncio.run(value)
    return value


def _traceback(name: str) -> str:
    """Format the current exception without our own frames."""
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    assert kind is not None
    assert error is not None
    report = traceback.TracebackException(kind, error, trace)
    # An interrupt arrives through a handler of ours, and what is shown goes through ours too.
    report.stack[:] = [frame for frame in report.stack if os.path.dirname(frame.filename) != _OURS]
    return "".join(report.format()).strip()[-100_000:]
