from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
from support.odd_numbers import ODD_NUMBERS, name

from pytest_agb import AGB, AGBTimeoutError, AuthenticationError, ClientSettings
from pytest_agb.environment import DEFAULT_ENDPOINT, EnvironmentValueError

if TYPE_CHECKING:
    from pathlib import Path

    from support.standin import StandIn


@pytest.fixture(autouse=True)
def bare_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for variable in ("AGB_API_KEY", "AGB_ENDPOINT", "AGB_TIMEOUT_MS"):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def test_no_key_names_the_variable_and_the_remedy() -> None:
    with pytest.raises(AuthenticationError, match="AGB_API_KEY") as caught:
        AGB()

    assert isinstance(caught.value, ValueError)  # what the official SDK raises
    assert "api_key=" in str(caught.value)


def test_an_empty_key_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", "")

    with pytest.raises(AuthenticationError):
        AGB(api_key=" ")


def test_key_and_endpoint_come_from_the_environment(
    service: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGB_API_KEY", service.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", service.endpoint + "/")

    assert AGB().list().success


def test_key_and_endpoint_come_from_dotenv(service: StandIn, bare_directory: Path) -> None:
    (bare_directory / ".env").write_text(f"AGB_API_KEY={service.api_key}\nAGB_ENDPOINT={service.endpoint}\n")

    assert AGB().list().success


DIVERTED = "which may be a stranger's: the key is not sent there"


@pytest.mark.parametrize(
    ("environment", "dotenv", "given", "says"),
    [
        (
            "AGB_API_KEY=k",
            "AGB_ENDPOINT=e",
            {},
            f"key comes from the environment, and .* from .env .*{DIVERTED}",
        ),
        ("AGB_API_KEY=k", "AGB_API_KEY=x\nAGB_ENDPOINT=e", {}, DIVERTED),
        ("", "AGB_ENDPOINT=e", {"api_key": "k"}, f"key comes from api_key=, .*{DIVERTED}"),
        ("MINE=k", "AGB_API_KEY=${MINE}\nAGB_ENDPOINT=e", {}, f"the environment, through .env, .*{DIVERTED}"),
        (
            "MINE=k",
            "AGB_API_KEY=x\nAGB_ENDPOINT=e/${MINE}",
            {},
            r"another variable \(\$\{...\}\): write it out",
        ),
        ("AGB_API_KEY=k", f"AGB_ENDPOINT={DEFAULT_ENDPOINT}/", {}, ""),
        ("AGB_API_KEY=k\nAGB_ENDPOINT=o", "AGB_API_KEY=x\nAGB_ENDPOINT=e", {}, ""),
        ("AGB_API_KEY=k", "AGB_TIMEOUT_MS=5000", {}, ""),
        ("AGB_API_KEY=k", "AGB_ENDPOINT=e", {"endpoint": "o"}, ""),
        ("", "AGB_API_KEY=x\nAGB_ENDPOINT=e", {}, ""),
        ("AGB_ENDPOINT=o", "AGB_API_KEY=x\nAGB_ENDPOINT=e", {}, ""),
        ("AGB_ENDPOINT=o", "AGB_API_KEY=x", {}, ""),
        ("MINE=k", "AGB_API_KEY=${MINE}", {}, ""),
    ],
)
def test_a_dotenv_sends_no_key_but_its_own_to_an_endpoint_of_its_own(
    bare_directory: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: str,
    dotenv: str,
    given: dict[str, str],
    says: str,
) -> None:
    (bare_directory / ".env").write_text(dotenv)
    for line in environment.splitlines():
        monkeypatch.setenv(*line.split("=", 1))

    if not says:
        AGB(**given)  # type: ignore[arg-type]
        return
    with pytest.raises(EnvironmentValueError, match=says) as caught:
        AGB(**given)  # type: ignore[arg-type]
    assert "/k" not in str(caught.value)


def test_what_is_given_wins(service: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGB_API_KEY", "wrong-key")
    monkeypatch.setenv("AGB_ENDPOINT", "not a URL")
    monkeypatch.setenv("AGB_TIMEOUT_MS", "soon")

    assert AGB(service.api_key, service.endpoint, timeout=5).list().success


@pytest.mark.parametrize("timeout", [0, -1, math.nan, math.inf, 1e300, 10**400, 2**31 / 1000])
def test_a_timeout_is_above_0_and_one_that_a_socket_can_wait_for(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout must be seconds, more than 0 and at most 2147483"):
        AGB("some-key", timeout=timeout)


@pytest.mark.parametrize("text", ODD_NUMBERS, ids=name)
def test_an_odd_timeout_in_the_environment_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("AGB_TIMEOUT_MS", text)

    with pytest.raises(EnvironmentValueError, match=r"AGB_TIMEOUT_MS: .* give a whole number such as 60000"):
        AGB("some-key")


@pytest.mark.parametrize("milliseconds", [1, 2**31 - 1])
def test_the_shortest_and_the_longest_timeout_can_be_waited_for(
    service: StandIn, monkeypatch: pytest.MonkeyPatch, milliseconds: int
) -> None:
    monkeypatch.setenv("AGB_TIMEOUT_MS", str(milliseconds))

    result = AGB(service.api_key, service.endpoint).list()

    assert result.success or isinstance(result.error, AGBTimeoutError)


def test_a_key_with_a_line_break_is_refused_without_showing_it() -> None:
    with pytest.raises(AuthenticationError) as caught:
        AGB("ako-secret\nvalue")

    assert "ako-secret" not in str(caught.value)


def test_a_proxy_that_cannot_be_used_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "nonsense://user:password@proxy.invalid")

    result = AGB("some-key", "https://agb.invalid", settings=ClientSettings()).list()

    assert "HTTPS_PROXY" in result.error_message
    assert "password" not in result.error_message
