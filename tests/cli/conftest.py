"""Commands run in this process, as `pytest-agb` runs them in its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from support.command_line import Run, Said
from support.standin import StandIn

from pytest_agb import cli


@pytest.fixture
def service() -> Iterator[StandIn]:
    with StandIn() as standin:
        yield standin


@pytest.fixture
def run(
    service: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Runs a command in an empty directory with the service's account in the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AGB_API_KEY", service.api_key)
    monkeypatch.setenv("AGB_ENDPOINT", service.endpoint)

    def run(*arguments: str, **environment: str) -> Said:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            try:
                status = cli.main(arguments)
            except SystemExit as end:
                status = cast("int", end.code)  # argparse's, which has said why itself
        said = capsys.readouterr()
        assert service.api_key not in said.out + said.err
        return Said(status, said.out, said.err)

    return run
