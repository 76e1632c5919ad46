"""What `pytest-agb serve` does."""

from __future__ import annotations

import secrets
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pytest_agb import core_dumps, removal
from pytest_agb.local import server
from pytest_agb.secret import Secret

if TYPE_CHECKING:
    import argparse


def serve(arguments: argparse.Namespace) -> int:
    """Serve until Ctrl-C and return the exit status."""
    if sys.platform == "win32":
        return _refuse("the local backend runs on Linux and macOS; on Windows use WSL, or the AGB cloud")
    try:
        chosen = server.choose(arguments.isolation)
    except server.IsolationUnavailable as error:
        return _refuse(error.worded({"to run without": "--isolation=any  (commands then see this machine)"}))
    core_dumps.forbid()
    key = Secret(secrets.token_urlsafe(24))

    def announce(url: str) -> None:
        print(f"AGB_ENDPOINT={url}\nAGB_API_KEY={key.reveal()}", flush=True)
        notice = server.notice(chosen, arguments.network)
        print(
            f"Serving sandboxes, isolation: {chosen}. {notice}{'. ' if notice else ''}Ctrl-C ends them.",
            file=sys.stderr,
            flush=True,
        )

    directory = Path(tempfile.mkdtemp(prefix="pytest-agb-"))
    try:
        config = server.ServerConfig(
            api_key=key,
            isolation=chosen,
            network=arguments.network,
            host_network_remedy="--network=host",
            data_directory=directory,
            remove_directory=True,
            contexts_directory=Path(arguments.data_dir).absolute() if arguments.data_dir else None,
            link_route=arguments.link_route,
            port=arguments.port,
            rules=server.SessionRules(
                default_idle_seconds=arguments.idle_timeout,
                maximum_lifetime_seconds=arguments.max_lifetime,
                maximum_sessions=arguments.max_sessions,
                release_seconds=arguments.release_delay,
                all_images=arguments.all_images,
            ),
            requests_per_second=arguments.rate,
        )
        server.serve(config, on_ready=announce)
    except server.ServerError as error:
        return _refuse(str(error))
    finally:
        left = removal.remove_tree(directory)
        if left is not None:
            print(f"pytest-agb: {directory} could not be removed: {left}", file=sys.stderr, flush=True)
    return 0


def _refuse(message: str) -> int:
    print(f"pytest-agb: {message}", file=sys.stderr)
    return 2
