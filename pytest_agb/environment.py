"""What the environment says: of the AGB account (key, endpoint, timeout), and of the CI run.

For the account the official SDK's variables and precedence (an explicit value, then the process environment,
then ``.env`` in the working directory, then the default), in one place for the plugin and the client. For the
CI run the variables that each provider documents as set in every job; the same value must come out in all
jobs of one run, and another in its re-run, so that one last job can sweep the sessions of all the others.

Standard library only, and no data class: the plugin's start-up imports it.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from pytest_agb import parse_number

#: The service's address where nothing else is said (official SDK 0.12.0).
DEFAULT_ENDPOINT = "https://sdk-api.agb.cloud"
#: Seconds that a call may take where nothing else is said (official SDK 0.12.0: 60,000 ms).
DEFAULT_TIMEOUT_SECONDS = 60.0
#: No call may take longer, 24 days: the kernel waits for a socket for at most this many milliseconds.
MOST_TIMEOUT_MS = 2**31 - 1

#: Of each provider: its name; the variable that it, and no other, sets in every job; what identifies the run;
#: and what counts its re-runs, where the run's own identifier stays the same.
_PROVIDERS = (
    ("github", "GITHUB_ACTIONS", "GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT"),
    ("gitlab", "GITLAB_CI", "CI_PIPELINE_ID", None),
    ("circleci", "CIRCLECI", "CIRCLE_WORKFLOW_ID", None),
    ("buildkite", "BUILDKITE", "BUILDKITE_BUILD_ID", None),
    ("azure", "TF_BUILD", "BUILD_BUILDID", "SYSTEM_STAGEATTEMPT"),
    ("jenkins", "JENKINS_URL", "BUILD_TAG", None),
)


class EnvironmentValueError(ValueError):
    """A variable holds what can't be used; the message names the variable and the remedy."""


class Account:
    """Where the service is and who is calling.

    ``api_key`` is ``None`` where there is none; an empty key (a CI secret that is not set) counts as none.
    """

    def __init__(self, api_key: str | None, endpoint: str, timeout_seconds: float) -> None:
        self.api_key = api_key
        self.endpoint = endpoint
        self.timeout_seconds = timeout_seconds

    def __repr__(self) -> str:
        return f"Account(endpoint={self.endpoint!r}, timeout_seconds={self.timeout_seconds!r})"


def read_account(environ: Mapping[str, str] | None = None, directory: Path | None = None) -> Account:
    """Read ``AGB_API_KEY``, ``AGB_ENDPOINT`` and ``AGB_TIMEOUT_MS`` from ``environ``, then from ``.env``.

    Unlike the SDK, nothing of ``.env`` is written into the process environment.

    Raises:
        EnvironmentValueError: the timeout is no whole number from 1 to `MOST_TIMEOUT_MS`, or the endpoint
            is no URL.
    """
    environ = os.environ if environ is None else environ
    file_values = _read_dotenv((directory or Path()) / ".env")

    def value(name: str) -> str:
        # The SDK lets an existing variable win over `.env`; an empty one counts as not set.
        return (environ.get(name) or file_values.get(name) or "").strip()

    endpoint = value("AGB_ENDPOINT")
    return Account(
        api_key=value("AGB_API_KEY") or None,
        endpoint=normalize_endpoint(endpoint, source="AGB_ENDPOINT") if endpoint else DEFAULT_ENDPOINT,
        timeout_seconds=_timeout(value("AGB_TIMEOUT_MS")),
    )


def normalize_endpoint(text: str, *, source: str = "endpoint") -> str:
    """Turn ``text`` into a base URL without a trailing slash; a bare ``host[:port]`` is called over https.

    Raises:
        EnvironmentValueError: ``text`` can't be a base URL; the message starts with ``source``.
    """
    from urllib.parse import urlsplit  # only where an endpoint is given: start-up time

    url = text if "://" in text else f"https://{text}"
    try:
        parts = urlsplit(url)
        valid = parts.scheme.lower() in ("http", "https") and parts.hostname and (parts.port or True)
    except ValueError:
        valid = False
    if not valid or parts.query or parts.fragment or "@" in parts.netloc or " " in url:
        raise EnvironmentValueError(
            f"{source}: {_without_userinfo(text)!r} is not a base URL; give one such as {DEFAULT_ENDPOINT!r}"
        )
    scheme, rest = url.split("://", 1)
    return f"{scheme.lower()}://{rest}".rstrip("/")


def _without_userinfo(text: str) -> str:
    """A URL may carry a password before the ``@``; an error must not repeat it."""
    return text.rpartition("@")[2] if "@" in text else text


def _timeout(text: str) -> float:
    if not text:
        return DEFAULT_TIMEOUT_SECONDS
    milliseconds = parse_number.whole(text, 1, MOST_TIMEOUT_MS)
    if milliseconds is None:
        raise EnvironmentValueError(
            f"AGB_TIMEOUT_MS: {parse_number.shown(text)} is not a number of milliseconds; "
            f"give a whole number such as 60000, at most {MOST_TIMEOUT_MS}"
        )
    return milliseconds / 1000


def _read_dotenv(path: Path) -> Mapping[str, str | None]:
    if not path.is_file():
        return {}
    from dotenv import dotenv_values  # only where there is such a file: start-up time

    return dotenv_values(path)


def ci_run(environ: Mapping[str, str]) -> str | None:
    """Name the CI run as ``provider-run-attempt``, or return ``None`` where there is none.

    The attempt is 1 where the provider gives every re-run an identifier of its own.
    """
    for name, sign, identifier, counter in _PROVIDERS:
        run = environ.get(identifier)
        if environ.get(sign) and run:
            attempt = environ.get(counter, "1") if counter else "1"
            return re.sub(r"[^A-Za-z0-9._-]+", "-", f"{name}-{run}-{attempt}")
    return None
