"""The run's local server: started by whichever process first needs it, gone when the run is gone.

It lives by the run's membership and not by the process that started it, which may be the first to die.
"""

from __future__ import annotations

import importlib.util
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_agb.run import aside, detach, members, run_directory
from pytest_agb.run.one_per_host import OnePerHost, joining_lock
from pytest_agb.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


#: What a run can do where sandboxes can't be isolated, and what each is good for.
_WITHOUT_ISOLATION = {
    "to run without": "--agb-local-isolation=any  (commands then see this machine)",
    "to use the AGB cloud": "set AGB_API_KEY",
}


class LocalServerError(RuntimeError):
    """The local server can't be had; the message says why and what to do."""


def ensure(run: Path, *, api_key: Secret, isolation: str, network: str) -> str:
    """Return the endpoint of the run's server on this host, starting it if it is not there.

    Raises:
        LocalServerError: it can't be started.
    """
    from pytest_agb.local.server import IsolationUnavailable, choose

    def payload() -> dict[str, Any]:
        missing = [name for name in ("starlette", "uvicorn") if importlib.util.find_spec(name) is None]
        if missing:
            raise LocalServerError(
                f"local sandboxes need {' and '.join(missing)}: pip install 'pytest-agb[local]', "
                "or set AGB_API_KEY to use the cloud"
            )
        return {"run": str(run), "api_key": api_key, "isolation": choose(isolation), "network": network}

    try:
        started: str = OnePerHost(run, "server").ensure(f"{__name__}:main", payload)["endpoint"]
    except IsolationUnavailable as error:
        raise LocalServerError(error.worded(_WITHOUT_ISOLATION)) from error
    except (detach.DetachError, OSError) as error:
        raise LocalServerError(str(error)) from error
    return started


def endpoint(run: Path) -> str | None:
    """Where the run's server on this host is, if it is alive."""
    report = OnePerHost(run, "server").running()
    return report["endpoint"] if report else None


def main(payload: Mapping[str, Any], report: Callable[[Mapping[str, Any]], None]) -> None:
    """Be the server, in a detached process, until no member of the run is left."""
    from pytest_agb.local.server import ServerConfig, serve

    run = Path(payload["run"])
    place = OnePerHost(run, "server")
    place.live()
    sandboxes = run / "sandboxes"
    sandboxes.mkdir(mode=0o700, exist_ok=True)
    ended: list[Path] = []
    others = members.Others(run / "members")

    def ready(endpoint: str) -> None:
        place.ready({"endpoint": endpoint})
        report({"endpoint": endpoint})

    def keep_running() -> bool:
        if place.lost():
            return False
        if others.any():
            return True
        try:
            with joining_lock():  # nobody joins between the look and the removal
                if others.any():
                    return True
                ended.append(run_directory.retire(run))
        except OSError as error:  # it was removed, or is on a disk that nobody can write to
            with suppress(OSError):
                print(f"pytest-agb: {run} can't be taken away: {error}", file=sys.stderr, flush=True)
        return False

    config = ServerConfig(
        api_key=Secret(payload["api_key"]),
        isolation=payload["isolation"],
        network=payload["network"],
        host_network_remedy="agb_local_network = host",
        data_directory=sandboxes,
        on_left=aside.set_aside,
    )
    serve(config, on_ready=ready, keep_running=keep_running)
    for directory in ended:
        aside.remove(directory)
