"""Which account is called: what is given, then what the environment says."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_agb.client.errors import InvalidRequestError, MissingKeyError
from pytest_agb.environment import (
    MOST_TIMEOUT_MS,
    Account,
    EnvironmentValueError,
    normalize_endpoint,
    read_account,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pytest_agb.secret import Secret


def resolve(given: Secret, endpoint: str | None, timeout: float | None) -> tuple[Secret, str, float]:
    """Give key, endpoint and timeout in seconds.

    Raises:
        MissingKeyError: there is no key, or one that can't be sent.
        ValueError: endpoint or timeout can't be used.
    """
    if timeout is not None and not 0 < timeout <= MOST_TIMEOUT_MS / 1000:
        raise InvalidRequestError(
            f"timeout must be seconds, more than 0 and at most {MOST_TIMEOUT_MS // 1000}, not {timeout!r}"
        )
    overrides = {}  # what is given hides the environment's value, right or wrong
    if endpoint:
        overrides["AGB_ENDPOINT"] = normalize_endpoint(endpoint.strip())
    if timeout is not None:
        overrides["AGB_TIMEOUT_MS"] = str(max(1, round(timeout * 1000)))
    account = _read_account(overrides, "api_key=" if given else "")
    if isinstance(account, str):  # raised out here: the frames in there hold the whole environment
        raise EnvironmentValueError(account)
    key = given or account.api_key
    if not key:
        raise MissingKeyError("There is no AGB API key")
    if not (key.reveal().isascii() and key.reveal().isprintable()) or " " in key.reveal():
        raise MissingKeyError(
            "The AGB API key holds characters that no key has, such as blanks or line breaks"
        )
    return key, account.endpoint, timeout if timeout is not None else account.timeout_seconds


def _read_account(overrides: Mapping[str, str], given: str) -> Account | str:
    try:
        return read_account({**os.environ, **overrides}, given=given)
    except EnvironmentValueError as error:
        return str(error)
