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
from pytest_agb.secret import Secret, refuse_copies

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


#: Where a value can come from, in the words of messages.
ENVIRONMENT, DOTENV, DEFAULT = "the environment", ".env", "the default"


class Account:
    """Where the service is and who is calling.

    ``api_key`` is ``None`` where there is none; an empty key (a CI secret that is not set) counts as none.
    """

    def __init__(
        self,
        api_key: Secret | str | None,
        endpoint: str,
        timeout_seconds: float,
        *,
        key_source: str = "",
        endpoint_source: str = "",
    ) -> None:
        """Where key and endpoint came from is told in words, as far as it is known."""
        self.api_key = Secret(api_key) if isinstance(api_key, str) else api_key
        self.endpoint = endpoint
        self.timeout_seconds = timeout_seconds
        self.key_source = key_source
        self.endpoint_source = endpoint_source

    __reduce_ex__ = refuse_copies

    def __repr__(self) -> str:
        return f"Account(endpoint={self.endpoint!r}, timeout_seconds={self.timeout_seconds!r})"


def read_account(
    environ: Mapping[str, str] | None = None, directory: Path | None = None, *, given: str = ""
) -> Account:
    """Read ``AGB_API_KEY``, ``AGB_ENDPOINT`` and ``AGB_TIMEOUT_MS`` from ``environ``, then from ``.env``.

    Unlike the SDK, nothing of ``.env`` is written into the process environment, and a ``.env``, which may be
    a stranger's, sends no key to an endpoint of its own but the one that it holds itself. ``given`` names
    where the caller has a key from that is used in place of what is read.

    Raises:
        EnvironmentValueError: the timeout is no whole number from 1 to `MOST_TIMEOUT_MS`, the endpoint is no
            URL, or ``.env`` diverts a key.
    """
    environ = os.environ if environ is None else environ
    dotenv = _Dotenv((directory or Path()) / ".env")

    def find(name: str) -> tuple[str, str]:
        """A value, and where it comes from."""
        # The SDK lets an existing variable win over `.env`; an empty one counts as not set.
        for source, values in ((ENVIRONMENT, environ), (DOTENV, dotenv.values)):
            if value := (values.get(name) or "").strip():
                return value, source
        return "", DEFAULT

    key, key_source = find("AGB_API_KEY")
    endpoint, endpoint_source = find("AGB_ENDPOINT")
    timeout, _ = find("AGB_TIMEOUT_MS")
    if endpoint_source == DOTENV and "AGB_ENDPOINT" in dotenv.borrowed:
        raise EnvironmentValueError(  # it could carry any secret of the environment anywhere
            "AGB_ENDPOINT in .env takes a part of it from another variable (${...}): write it out"
        )
    account = Account(
        api_key=key or None,
        endpoint=normalize_endpoint(endpoint, source="AGB_ENDPOINT") if endpoint else DEFAULT_ENDPOINT,
        timeout_seconds=_timeout(timeout),
        key_source=key_source if key else "",
        endpoint_source=endpoint_source,
    )
    if key_source == DOTENV and "AGB_API_KEY" in dotenv.borrowed:
        key_source = f"{ENVIRONMENT}, through .env"
    _refuse_diversion(account, given or (key_source if key else ""))
    return account


def _refuse_diversion(account: Account, key_source: str) -> None:
    diverted = account.endpoint_source == DOTENV and account.endpoint != DEFAULT_ENDPOINT
    if key_source in ("", DOTENV) or not diverted:
        return
    raise EnvironmentValueError(
        f"the API key comes from {key_source}, and AGB_ENDPOINT from .env in the working directory "
        f"({account.endpoint}), which may be a stranger's: the key is not sent there. Take both from one "
        "place: set AGB_ENDPOINT in the environment, too (or pass endpoint=), or have the key in .env alone"
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


class _Dotenv:
    """What a ``.env`` holds, if it is there."""

    def __init__(self, path: Path) -> None:
        self.values: Mapping[str, str | None] = {}
        #: The names whose values take a part from other variables, those of the environment too.
        self.borrowed: set[str] = set()
        if not path.is_file():
            return
        from dotenv import dotenv_values  # only where there is such a file: start-up time

        self.values = dotenv_values(path)
        written = dotenv_values(path, interpolate=False)
        self.borrowed = {name for name, value in written.items() if "${" in (value or "")}


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
