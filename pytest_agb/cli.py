"""``pytest-agb``: what people type outside of a test run."""

from __future__ import annotations

import argparse
import shutil
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status: 0, or 2 where it can't be done."""
    parser = argparse.ArgumentParser(
        prog="pytest-agb", description="Sandboxes of the AGB cloud, and of this machine."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser(
        "serve",
        help="serve sandboxes of this machine until Ctrl-C",
        description="Serve sandboxes of this machine over the AGB API until Ctrl-C. "
        "Prints AGB_ENDPOINT=… and AGB_API_KEY=…, which the AGB SDKs read.",
    )
    serve.add_argument(
        "--port", type=_port, default=0, metavar="N", help="port on 127.0.0.1 (default: any free one)"
    )
    serve.add_argument(
        "--isolation",
        choices=("auto", "any", "namespaces", "none"),
        default="auto",
        help="how sandboxes are kept apart (default: %(default)s, which refuses where nothing can)",
    )
    serve.set_defaults(run=_serve)
    arguments = parser.parse_args(argv)
    status: int = arguments.run(arguments)
    return status


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


def _serve(arguments: argparse.Namespace) -> int:
    # Only for this command: the others must not pay for it.
    import secrets
    import tempfile
    from pathlib import Path

    if sys.platform == "win32":
        return _refuse("the local backend runs on Linux and macOS; on Windows use WSL, or the AGB cloud")
    from .local import isolation, server

    try:
        chosen = isolation.choose(arguments.isolation)
    except isolation.IsolationUnavailable as error:
        # Here the option has another name than in a pytest run.
        return _refuse(str(error).replace("--agb-local-isolation=any", "--isolation any"))
    key = secrets.token_urlsafe(24)

    def announce(url: str) -> None:
        print(f"AGB_ENDPOINT={url}\nAGB_API_KEY={key}", flush=True)
        notice = f" {isolation.NOT_ISOLATED}." if chosen == "none" else ""
        print(
            f"Serving sandboxes, isolation: {chosen}.{notice} Ctrl-C ends them.", file=sys.stderr, flush=True
        )

    directory = Path(tempfile.mkdtemp(prefix="pytest-agb-"))
    try:
        config = server.ServerConfig(
            api_key=key,
            isolation=chosen,
            data_directory=directory,
            remove_directory=True,
            port=arguments.port,
        )
        server.serve(config, on_ready=announce)
    except server.ServerError as error:
        return _refuse(str(error))
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return 0


def _refuse(message: str) -> int:
    print(f"pytest-agb: {message}", file=sys.stderr)
    return 2
