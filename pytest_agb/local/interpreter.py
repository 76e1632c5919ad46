"""The Python interpreter of a session: a child of the agent that runs one piece of code after another.

Each runs in the same ``__main__``. The value of a last expression is the result, as in a notebook.
"""

from __future__ import annotations

import ast
import builtins
import contextlib
import io
import linecache
import os
import signal
import sys
import traceback
import types
from typing import TYPE_CHECKING, Any, NoReturn

from . import namespaces, wire

if TYPE_CHECKING:
    import socket

#: Characters of a result's text that an answer holds.
MAX_RESULT_CHARACTERS = 10 * 1024 * 1024

#: What rich objects offer, as IPython names it, and where that goes.
_REPRS = {
    "_repr_html_": "text/html",
    "_repr_markdown_": "text/markdown",
    "_repr_svg_": "image/svg+xml",
    "_repr_png_": "image/png",
    "_repr_jpeg_": "image/jpeg",
    "_repr_json_": "application/json",
    "_repr_latex_": "text/latex",
}
_running = False


def main(connection: socket.socket, stdout: int, stderr: int) -> NoReturn:
    """Be the interpreter, in a process just forked from the agent."""
    status = 1
    try:
        descriptor = _tidy(connection, stdout, stderr)
        _loop(descriptor, _new_main_module())
        status = 0
    finally:
        os._exit(status)


def _tidy(connection: socket.socket, stdout: int, stderr: int) -> int:
    """Leave nothing of the agent's but the connection; return its descriptor."""
    signal.set_wakeup_fd(-1)
    for received in (signal.SIGCHLD, signal.SIGTERM):
        signal.signal(received, signal.SIG_DFL)
    signal.signal(signal.SIGINT, _on_interrupt)
    os.setsid()  # a process group of its own, to be interrupted as a whole
    if sys.platform.startswith("linux"):
        namespaces.set_dumpable(True)  # without, its own /proc/self/fd is closed to it
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    descriptor = os.dup(connection.fileno())
    connection.detach()
    # High up, where code that counts on the lowest descriptors does not meet it.
    import fcntl

    high = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 200)
    os.closerange(3, high)
    os.closerange(high + 1, high + 200)
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    for name, number in (("stdout", 1), ("stderr", 2)):
        raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
        stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", line_buffering=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    sys.__stdin__ = sys.stdin  # type: ignore[misc]
    return high


def _new_main_module() -> dict[str, Any]:
    module = types.ModuleType("__main__")
    module.__dict__["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv = [""]
    sys.path.insert(0, "")  # modules that were written into the working directory
    return module.__dict__


def _on_interrupt(*_: object) -> None:
    if _running:
        raise KeyboardInterrupt


def _loop(descriptor: int, variables: dict[str, Any]) -> None:
    decoder = wire.Decoder()
    pid = os.getpid()
    while True:
        data = os.read(descriptor, 1 << 18)
        if not data:
            return
        for message in decoder.feed(data):
            results, error = run(message["code"], message["count"], variables)
            with contextlib.suppress(Exception):
                sys.stdout.flush()
            with contextlib.suppress(Exception):
                sys.stderr.flush()
            if os.getpid() != pid:
                os._exit(0)  # a process that the code forked must not answer for it
            answer = wire.encode({"count": message["count"], "results": results, "error": error})
            while answer:
                answer = answer[os.write(descriptor, answer) :]


def run(code: str, count: int, variables: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """Run ``code``; return its results as mime bundles, and the traceback's text or ``""``."""
    global _running
    name = f"<cell {count}>"
    # Tracebacks show the lines of the code.
    linecache.cache[name] = (len(code), None, code.splitlines(keepends=True), name)
    signal.signal(signal.SIGINT, _on_interrupt)  # the code before may have put another in place
    try:
        _running = True
        try:
            if not code.strip():
                return [], "ValueError: no code was given"
            value = _execute(code, name, variables)
            results = [] if value is None else [_bundle(value)]
            if value is not None:
                variables["_"] = value
        finally:
            _running = False
    except SystemExit as error:
        return [], "" if error.code in (None, 0) else f"SystemExit: {error.code}"
    except KeyboardInterrupt:
        return [], _traceback(name) or "KeyboardInterrupt"
    except BaseException:
        return [], _traceback(name)
    return results, ""


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


def _bundle(value: object) -> dict[str, Any]:
    bundle: dict[str, Any] = {"text/plain": repr(value), "isMainResult": True}
    if not isinstance(value, type):
        for method, mime in _REPRS.items():
            with contextlib.suppress(Exception):
                rich = getattr(value, method)()
                if isinstance(rich, tuple):
                    rich = rich[0]
                if isinstance(rich, bytes):
                    import base64

                    rich = base64.b64encode(rich).decode()
                if rich is not None:
                    bundle[mime] = rich
    text = bundle["text/plain"]
    if len(text) > MAX_RESULT_CHARACTERS:
        bundle["text/plain"] = (
            f"{text[:MAX_RESULT_CHARACTERS]}\n"
            f"[result truncated: {MAX_RESULT_CHARACTERS} of {len(text)} characters are shown]"
        )
    return bundle


def _traceback(name: str) -> str:
    """Format the current exception without our own frames."""
    kind, error, trace = sys.exc_info()
    while trace is not None and trace.tb_frame.f_code.co_filename != name:
        trace = trace.tb_next
    assert kind is not None
    assert error is not None
    report = traceback.TracebackException(kind, error, trace)
    # An interrupt arrives through a handler of ours.
    report.stack[:] = [frame for frame in report.stack if frame.filename != __file__]
    return "".join(report.format()).strip()[-100_000:]
