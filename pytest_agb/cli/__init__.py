"""``pytest-agb``: what people type outside of a test run."""

from __future__ import annotations

import argparse
import re
import sys
from typing import TYPE_CHECKING, NoReturn

from pytest_agb.settings import LOCAL_ISOLATIONS, LOCAL_NETWORKS

if TYPE_CHECKING:
    from collections.abc import Sequence

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_EXIT = "exit status: 0 {clean}; 1 {left}; 2 where it can't be done; 130 after Ctrl-C"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status: 0, 1 where something is left, 2 where it can't be done."""
    parser = _Parser(prog="pytest-agb", description="Sandboxes of the AGB cloud, and of this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_ls(commands)
    _add_sweep(commands)
    _add_serve(commands)
    arguments = parser.parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def _add_ls(commands: argparse._SubParsersAction[_Parser]) -> None:
    ls = commands.add_parser(
        "ls",
        help="list the account's sessions that pytest-agb created",
        description="List the account's sessions that carry created_by=pytest-agb.",
        epilog=_EXIT.format(clean="where all could be listed", left="where a session's labels can't be read"),
    )
    _add_selection(ls)
    ls.set_defaults(run=_ls)


def _add_sweep(commands: argparse._SubParsersAction[_Parser]) -> None:
    sweep = commands.add_parser(
        "sweep",
        help="delete sessions that dead runs left behind",
        description="Delete the account's sessions that carry created_by=pytest-agb and are past their "
        "agb_expires, or belong to the run that is named. All others stay.",
        epilog=_EXIT.format(clean="where nothing is left that should go", left="where something is"),
    )
    _add_selection(sweep)
    sweep.add_argument(
        "--older-than",
        type=_duration,
        metavar="AGE",
        help="delete also what is older than this, 30m for example (s, m, h, d), and not past its expiry: "
        "it may be in use. What does not say when it was created stays until its expiry",
    )
    sweep.add_argument(
        "--dry-run",
        action="store_true",
        help="delete nothing, say what would be deleted; 1 if anything would",
    )
    sweep.set_defaults(run=_sweep)


def _add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--run", dest="run_id", metavar="ID", help="only the sessions of this run, all of them"
    )
    command.add_argument("--ci-run", metavar="ID", help="only the sessions of this CI run, all of them")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def _add_serve(commands: argparse._SubParsersAction[_Parser]) -> None:
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
        choices=LOCAL_ISOLATIONS,
        default="auto",
        help="how sandboxes are kept apart (default: %(default)s, which refuses where nothing can)",
    )
    serve.add_argument(
        "--network",
        choices=LOCAL_NETWORKS,
        default="none",
        help="network of the sandboxes, host is this machine's (default: %(default)s)",
    )
    for option, default, help in (
        ("--idle-timeout", 300.0, "without a call until a session is released, where its creator names none"),
        ("--max-lifetime", 1800.0, "until a session is released whatever it does"),
        ("--release-delay", 0.0, "from an accepted release to its end; the status is DELETING meanwhile"),
    ):
        serve.add_argument(
            option, type=_seconds, default=default, metavar="S", help=f"seconds {help} (default: {default:g})"
        )
    serve.add_argument(
        "--max-sessions", type=_count, metavar="N", help="refuse a session beyond N at once, as a quota does"
    )
    serve.add_argument(
        "--rate", type=_count, metavar="N", help="refuse requests beyond N a second, with HTTP 429"
    )
    serve.add_argument(
        "--data-dir",
        metavar="DIR",
        help="where contexts are kept, and still are when the server has ended (default: they end with it)",
    )
    serve.add_argument(
        "--all-images",
        action="store_true",
        help="take browser, desktop and phone images too, whose tools still are not there",
    )
    serve.add_argument(
        "--link-route",
        action="store_true",
        help="give sessions a linkUrl, by which the official SDK then calls their tools, 20 ms slower",
    )
    serve.set_defaults(run=_serve)


def _port(text: str) -> int:
    if not text.isdigit() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


def _seconds(text: str) -> float:
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text, re.ASCII) or not float(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give a number of seconds above 0")
    return float(text)


def _count(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no count: give a whole number above 0")
    return int(text)


def _duration(text: str) -> float:
    """Seconds."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smhd])", text.strip(), re.ASCII)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no duration: give one such as 90s, 30m, 2h or 1d")
    return float(match[1]) * _SECONDS[match[2]]


def _ls(arguments: argparse.Namespace) -> int:
    from pytest_agb.cli import sweep  # brings httpx, and --help must not

    return sweep.ls(arguments)


def _sweep(arguments: argparse.Namespace) -> int:
    from pytest_agb.cli import sweep  # brings httpx, and --help must not

    return sweep.sweep(arguments)


def _serve(arguments: argparse.Namespace) -> int:
    # Only for this command: the others must not pay for it.
    import secrets
    import tempfile
    from pathlib import Path

    if sys.platform == "win32":
        return _refuse("the local backend runs on Linux and macOS; on Windows use WSL, or the AGB cloud")
    from pytest_agb import removal
    from pytest_agb.local import server
    from pytest_agb.local.isolation import choose
    from pytest_agb.local.sessions import registry

    try:
        chosen = choose.choose(arguments.isolation)
    except choose.IsolationUnavailable as error:
        return _refuse(error.worded({"to run without": "--isolation=any  (commands then see this machine)"}))
    key = secrets.token_urlsafe(24)

    def announce(url: str) -> None:
        print(f"AGB_ENDPOINT={url}\nAGB_API_KEY={key}", flush=True)
        notice = choose.notice(chosen, arguments.network)
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
            data_directory=directory,
            remove_directory=True,
            contexts_directory=Path(arguments.data_dir).absolute() if arguments.data_dir else None,
            link_route=arguments.link_route,
            port=arguments.port,
            rules=registry.SessionRules(
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
