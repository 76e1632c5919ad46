"""What `pytest-agb serve` and `sweep` make of the numbers on their command line."""

from __future__ import annotations

import argparse

import pytest
from support.odd_numbers import ODD_NUMBERS, name

from pytest_agb import cli, parse_number

OPTIONS = {
    "--port": "no port: give a number from 0 to 65535",
    "--rate": "no count: give a whole number from 1 to 999999999",
    "--max-sessions": "no count: give a whole number from 1 to 999999999",
    "--idle-timeout": "no time: give a number of seconds above 0, 0.5 for example",
    "--max-lifetime": "no time: give a number of seconds above 0, 0.5 for example",
    "--release-delay": "no time: give a number of seconds above 0, 0.5 for example",
}


@pytest.fixture(autouse=True)
def seen(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    """What the commands are called with: a number that is taken starts no server."""
    seen: list[argparse.Namespace] = []

    def keep(arguments: argparse.Namespace) -> int:
        seen.append(arguments)
        return 0

    monkeypatch.setattr(cli, "_serve", keep)
    monkeypatch.setattr(cli, "_sweep", keep)
    return seen


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)
    assert caught.value.code == 2
    return capsys.readouterr().err


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("text", [*ODD_NUMBERS, "", "1000000000"], ids=name)
def test_an_odd_number_is_refused_with_its_remedy(
    capsys: pytest.CaptureFixture[str], option: str, text: str
) -> None:
    error = refusal(capsys, "serve", f"{option}={text}")

    assert f"argument {option}: {parse_number.shown(text)} is {OPTIONS[option]}" in error


@pytest.mark.parametrize("text", [*ODD_NUMBERS, ""], ids=name)
def test_so_is_an_odd_duration(capsys: pytest.CaptureFixture[str], text: str) -> None:
    error = refusal(capsys, "sweep", f"--older-than={text}m")

    assert (
        f"argument --older-than: {parse_number.shown(text + 'm')} is no duration: give one such as" in error
    )


def test_plain_numbers_are_taken(seen: list[argparse.Namespace]) -> None:
    cli.main(
        ["serve", "--port=0", "--rate= 5 ", "--idle-timeout=0.5", "--max-lifetime=1800", "--release-delay=2"]
    )
    cli.main(["sweep", "--older-than=1.5h"])

    serve, sweep = seen
    assert (serve.port, serve.rate, serve.idle_timeout, serve.max_lifetime) == (0, 5, 0.5, 1800)
    assert (serve.release_delay, sweep.older_than) == (2, 5400)
