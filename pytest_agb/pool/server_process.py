"""The run's local server: started by whichever process first needs it, gone when the run is gone.

It lives by the run's membership and not by the process that started it, which may be the first to die.
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from pytest_agb import detach, rundir
from pytest_agb.pool import members

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Seconds that a server may take to its first answer; on an idle machine it takes a fraction of one.
_START_SECONDS = 60.0


class LocalServerError(RuntimeError):
    """The local server can't be had; the message says why and what to do."""


def joining_lock() -> FileLock:
    """Held while a process joins a run, or finds a run dead and takes its directory away."""
    return FileLock(rundir.make_base() / "joining.lock")


def ensure(run: Path, *, api_key: str, isolation: str) -> str:
    """Return the endpoint of the run's server on this host, starting it if it is not there.

    Raises:
        LocalServerError: it can't be started.
    """
    endpoint = _running(run)
    if endpoint is not None:
        return endpoint
    with FileLock(run / "server.lock"):
        return _running(run) or _start(run, api_key=api_key, isolation=isolation)


def is_running(run: Path) -> bool:
    """Whether the run's server on this host is alive."""
    return _running(run) is not None


def _running(run: Path) -> str | None:
    try:
        if members.is_locked(run / "server.alive"):
            endpoint: str = json.loads((run / "server.json").read_text())["endpoint"]
            return endpoint
    except FileNotFoundError:
        pass  # never started, or starting: the lock around the start decides
    return None


def _start(run: Path, *, api_key: str, isolation: str) -> str:
    from pytest_agb.local.isolation import IsolationUnavailable, choose

    missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
    if missing:
        raise LocalServerError(
            f"local sandboxes need {' and '.join(missing)}: pip install 'pytest-agb[local]', "
            "or set AGB_API_KEY to use the cloud"
        )
    (run / "server.json").unlink(missing_ok=True)
    try:
        started = detach.start(
            f"{__name__}:main",
            {"run": str(run), "api_key": api_key, "isolation": choose(isolation)},
            directory=run,
            log=run / "server.log",
            timeout_seconds=_START_SECONDS,
        )
    except (IsolationUnavailable, detach.DetachError) as error:
        raise LocalServerError(str(error)) from error
    endpoint: str = started["endpoint"]
    return endpoint


def main(payload: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Be the server, in a detached process, until no member of the run is left."""
    from pytest_agb.local.server import ServerConfig, serve

    run = Path(payload["run"])
    alive = os.open(run / "server.alive", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.lockf(alive, fcntl.LOCK_EX)
    sandboxes = run / "sandboxes"
    sandboxes.mkdir(mode=0o700, exist_ok=True)
    ended: list[Path] = []

    def ready(endpoint: str) -> None:
        new = run / "server.json.new"
        new.write_text(json.dumps({"endpoint": endpoint}))
        new.rename(run / "server.json")
        report({"endpoint": endpoint})

    def keep_running() -> bool:
        if members.any_alive(run / "members"):
            return True
        with joining_lock():  # nobody joins between the look and the removal
            if members.any_alive(run / "members"):
                return True
            ended.append(run.rename(run.with_name(f"ended-{run.name}")))
        return False

    config = ServerConfig(
        api_key=payload["api_key"], isolation=payload["isolation"], data_directory=sandboxes
    )
    serve(config, on_ready=ready, keep_running=keep_running)
    for directory in ended:
        shutil.rmtree(directory)
