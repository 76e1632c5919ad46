"""What `pytest-agb doctor` says: what a test run would do here, and why. It creates nothing."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib import metadata
from pathlib import Path

from pytest_agb.client import AGB, AGBError, ClientSettings, RetrySettings
from pytest_agb.environment import (
    DOTENV,
    ENVIRONMENT,
    Account,
    EnvironmentValueError,
    ci_run,
    read_account,
)
from pytest_agb.local import server

#: Seconds that the service gets to answer.
_PATIENCE_SECONDS = 15.0
#: What local sandboxes need, by `pytest_agb.local.process`.
_LOCAL = ("starlette", "uvicorn", "websockets", "jinja2")
_OTHERS = ("pytest", "pytest-xdist", "httpx", *_LOCAL, "agbcloud-sdk")


class _Report:
    """Prints a row for each thing, and knows whether a test could have a session."""

    def __init__(self) -> None:
        self.good = True

    def row(self, title: str, text: str) -> None:
        first, *others = text.splitlines()
        print(f"{title:<11}{first}")
        for line in others:
            print(f"{'':<11}{line}")

    def trouble(self, title: str, text: str) -> None:
        self.good = False
        self.row(title, text)


def doctor() -> int:
    """Print the report and return the exit status: 1 where no test could have a session, else 0."""
    report = _Report()
    report.row("versions", _versions())
    try:
        account = read_account()
    except EnvironmentValueError as error:
        report.trouble("account", str(error))
    else:
        _account(report, account)
    report.row("CI run", ci_run(os.environ) or "none: no CI system that is known set its variables")
    _local(report, needed=report.good and account.api_key is None)
    return int(not report.good)


def _versions() -> str:
    def version(package: str) -> str:
        try:
            return f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            return f"no {package}"

    python = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    return f"{version('pytest-agb')}, {python}\n{', '.join(map(version, _OTHERS))}"


def _account(report: _Report, account: Account) -> None:
    chosen = "(--agb-backend and the ini value agb_backend say otherwise)"
    if account.api_key is None:
        report.row("backend", f"local: there is no API key {chosen}")
        dotenv = f"{_where(DOTENV)}, which {'has none' if Path(DOTENV).is_file() else 'is not there'}"
        report.row("key", f"none: AGB_API_KEY is set neither in {ENVIRONMENT} nor in {dotenv}")
        return
    report.row("backend", f"cloud: there is an API key {chosen}")
    report.row("key", f"AGB_API_KEY, from {_where(account.key_source)}")
    report.row("endpoint", f"{account.endpoint}, from {_where(account.endpoint_source)}")
    began = time.monotonic()
    try:
        with AGB(
            account.api_key,
            account.endpoint,
            min(account.timeout_seconds, _PATIENCE_SECONDS),
            settings=ClientSettings(retry=RetrySettings(attempts=1)),
        ) as agb:
            agb.list(limit=1).check()
    except AGBError as error:
        report.trouble("service", str(error))
    else:
        report.row("service", f"answers in {time.monotonic() - began:.2f} s and takes the key")


def _where(source: str) -> str:
    return f"{Path.cwd() / source}" if source == DOTENV else source


def _local(report: _Report, *, needed: bool) -> None:
    """How local sandboxes would be; that they can't be had is trouble only where they are ``needed``."""
    say = report.trouble if needed else report.row
    title = "isolation"
    if sys.platform == "win32":
        say(title, "none: local sandboxes run on Linux and macOS, on Windows use WSL")
        return
    try:
        isolation = server.choose("auto")
    except server.IsolationUnavailable as error:
        say(
            title,
            error.worded({"to run without": "--agb-local-isolation=any  (commands then see this machine)"}),
        )
    else:
        held = server.notice(isolation, "none") or "files, processes and network of their own"
        report.row(title, f"of local sandboxes: {isolation}: {held}")
    missing = [package for package in _LOCAL if not _installed(package)]
    if missing:
        say("", f"local sandboxes need {', '.join(missing)}: pip install 'pytest-agb[local]'")
    report.row(
        "languages",
        "\n".join(f"{language}: {found}" for language, found in server.languages().items()),
    )


def _installed(package: str) -> bool:
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True
