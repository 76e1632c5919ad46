"""``pytest-agb``: what people type outside of a test run."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING, NoReturn

from pytest_agb import parse_number
from pytest_agb.local.server import SessionRules
from pytest_agb.settings import LOCAL_ISOLATIONS, LOCAL_NETWORKS

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Of whatever is counted: sessions, requests a second.
_MOST = 999_999_999
_EXIT = "exit status: 0 {clean}; 1 {left}; 2 where it can't be done; 130 after Ctrl-C"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a subcommand and return the exit status: 0, 1 where something is left, 2 where it can't be done."""
    parser = _Parser(prog="pytest-agb", description="Sandboxes of the AGB cloud, and of this machine.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    commands = parser.add_subparsers(dest="command", title="commands", metavar="COMMAND")
    _add_ls(commands)
    _add_sweep(commands)
    _add_serve(commands)
    _add_doctor(commands)
    arguments = parser.parse_args(argv)
    if arguments.command is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int = arguments.run(arguments)
    except KeyboardInterrupt:
        return 130
    return status


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib import metadata  # heavy, and --help must not pay for it

        print(f"pytest-agb {metadata.version('pytest-agb')}")
        parser.exit()


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
    sweep.add_argument(
        "--require-key",
        action="store_true",
        help="fail, with 2, where --this-ci-run finds no API key; without it that is no failure, since pull "
        "requests from forks are given none",
    )
    sweep.set_defaults(run=_sweep)


def _add_selection(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--run", dest="run_id", metavar="ID", help="only the sessions of this run, all of them"
    )
    ci_run = command.add_mutually_exclusive_group()
    ci_run.add_argument("--ci-run", metavar="ID", help="only the sessions of this CI run, all of them")
    ci_run.add_argument(
        "--this-ci-run", action="store_true", help="the same, of the CI run that this is a job of"
    )
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
    rules = SessionRules()
    for option, field, help in (
        (
            "--idle-timeout",
            "default_idle_seconds",
            "without a call until a session is released, where its creator names none",
        ),
        ("--max-lifetime", "maximum_lifetime_seconds", "until a session is released whatever it does"),
        (
            "--release-delay",
            "release_seconds",
            "from an accepted release to its end; the status is DELETING meanwhile",
        ),
    ):
        default = getattr(rules, field)
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


def _add_doctor(commands: argparse._SubParsersAction[_Parser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what a test run would do here, and why",
        description="Say what a test run in this directory would do, and why: where its sessions would "
        "live, where key and endpoint come from, whether the service answers, how local sandboxes are "
        "isolated, which languages they run. Creates nothing.",
        epilog=_EXIT.format(clean="where a test could have a session", left="where none could"),
    )
    doctor.set_defaults(run=_doctor)


def _port(text: str) -> int:
    port = parse_number.whole(text.strip(), 0, 65535)
    if port is None:
        raise argparse.ArgumentTypeError(
            f"{parse_number.shown(text)} is no port: give a number from 0 to 65535"
        )
    return port


def _seconds(text: str) -> float:
    seconds = parse_number.seconds(text.strip())
    if not seconds:
        raise argparse.ArgumentTypeError(
            f"{parse_number.shown(text)} is no time: give a number of seconds above 0, 0.5 for example"
        )
    return seconds


def _count(text: str) -> int:
    count = parse_number.whole(text.strip(), 1, _MOST)
    if count is None:
        raise argparse.ArgumentTypeError(
            f"{parse_number.shown(text)} is no count: give a whole number from 1 to {_MOST}"
        )
    return count


def _duration(text: str) -> float:
    """Seconds."""
    seconds = parse_number.duration(text.strip())
    if seconds is None:
        raise argparse.ArgumentTypeError(
            f"{parse_number.shown(text)} is no duration: give one such as 90s, 30m, 2h or 1d"
        )
    return seconds


def _ls(arguments: argparse.Namespace) -> int:
    from pytest_agb.cli import sweep  # brings httpx, and --help must not

    return sweep.ls(arguments)


def _sweep(arguments: argparse.Namespace) -> int:
    from pytest_agb.cli import sweep  # brings httpx, and --help must not

    return sweep.sweep(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from pytest_agb.cli import doctor  # brings httpx, and --help must not

    return doctor.doctor()


def _serve(arguments: argparse.Namespace) -> int:
    from pytest_agb.cli import serve

    return serve.serve(arguments)
