"""Start a process that outlives the one that starts it, and holds nothing of it.

The process is forked twice into a session of its own; its descriptors are the null device and its log and no
others, so that ``pytest -s | cat`` ends with pytest; its working directory is its own and not on `sys.path`,
so that a user's ``httpx.py`` is not imported; its environment lacks what CI systems hunt orphans by. What it
must know, secrets too, comes on a pipe.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_agb import core_dumps, real
from pytest_agb.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Variables by which GitHub's runner, Jenkins and coverage find, kill or start inside other processes.
_LEFT_OUT = re.compile(
    r"RUNNER_TRACKING_ID|BUILD_ID|HUDSON_.*COOKIE|JENKINS_.*COOKIE|COV_CORE_.*|COVERAGE_PROCESS_(START|CONFIG)"
    # Ours to send over the pipe, and pytest's own.
    r"|AGB_API_KEY|PYTEST_.*"
)

# `-c` puts the working directory on sys.path: taken off before anything that could be shadowed is imported.
# Our own folder goes last, for the case that pytest found us by a path of its own.
_BOOTSTRAP = """\
import sys
sys.path[:] = [entry for entry in sys.path if entry]
sys.path.append({folder!r})
from pytest_agb.run.detach import _run
_run()
"""


#: Between two looks whether the first of the two processes has ended, which it does once it is forked.
_POLL_SECONDS = 0.001


class DetachError(RuntimeError):
    """The process ended, or said nothing, before it was ready. The message has the end of its log."""


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return ``environ`` without what ties a process to a CI job, a coverage run or a secret."""
    return {name: value for name, value in environ.items() if not _LEFT_OUT.fullmatch(name)}


def start(
    target: str,
    payload: Mapping[str, Any],
    *,
    directory: Path,
    log: Path,
    temp: str = "",
    timeout_seconds: float = 30.0,
) -> dict[str, Any]:
    """Run ``target`` (``module:function``) in a detached process and return what it reports when ready.

    The function is called with ``payload`` and with a function to report by, once. A `Secret` in ``payload``
    arrives as the string that it holds. ``temp`` is the process's temp directory, by default that of the
    environment.

    Raises:
        DetachError: it was not ready within ``timeout_seconds``, or ended before.
    """
    folder = str(Path(__file__).resolve().parents[2])
    deadline = real.boot_seconds() + timeout_seconds
    with log.open("ab") as log_file:
        process = real.Popen(
            [sys.executable, "-c", _BOOTSTRAP.format(folder=folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            cwd=directory,
            env={**environment(os.environ), **({"TMPDIR": temp} if temp else {})},
            start_new_session=True,
        )
    assert process.stdin is not None
    assert process.stdout is not None
    with (
        suppress(BrokenPipeError),
        process.stdin as pipe,
    ):  # it has ended: its log tells why
        pipe.write(json.dumps({"target": target, "payload": dict(payload)}, default=_reveal).encode())
    with process.stdout as pipe:
        report = _read_line(pipe.fileno(), deadline)
    while process.poll() is None:  # `wait(timeout)` asks a clock that a test may have stopped
        if real.boot_seconds() > deadline:
            process.kill()  # still the first of the two: nothing is detached yet
            process.wait()
        real.sleep(_POLL_SECONDS)
    if not report:
        tail = log.read_text(errors="replace")[-2000:].strip()
        raise DetachError(
            f"{target} did not start within {timeout_seconds:g} s. Its log says: {tail or 'nothing'}"
        )
    return dict(json.loads(report))


def _reveal(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} can't be sent to a process")


def _read_line(descriptor: int, deadline: float) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        ready, _, _ = real.System.select([descriptor], [], [], max(0.0, deadline - real.boot_seconds()))
        chunk = os.read(descriptor, 65536) if ready else b""
        if not chunk:
            return b""
        line += chunk
    return line


def _run() -> None:
    """Be the detached process: called by the bootstrap, in a session of its own."""
    core_dumps.forbid()  # before there is a secret in here
    order = json.load(sys.stdin)
    if os.fork():
        os._exit(
            0
        )  # the second fork gives up the session's leadership, and pytest is not the parent any more
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    report_pipe = os.dup(1)
    os.dup2(null, 1)
    os.close(null)

    def report(value: Mapping[str, Any]) -> None:
        os.write(report_pipe, json.dumps(dict(value)).encode() + b"\n")
        os.close(report_pipe)

    module, _, function = order["target"].partition(":")
    main: Callable[[Mapping[str, Any], Callable[[Mapping[str, Any]], None]], None]
    main = getattr(import_module(module), function)
    main(order["payload"], report)
