from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_agb.run import detach, keeper_process, local_server
from pytest_agb.secret import Secret
from pytest_agb.settings import Settings

KEY = "ako-very-secret-0123456789"


def _start(run: Path, settings: Settings) -> None:
    detach.start("x:main", settings._asdict(), directory=run, log=run / "log")


def _server(run: Path, settings: Settings) -> None:
    assert settings.api_key is not None
    local_server.ensure(run, api_key=settings.api_key, isolation="none", network="none")


@pytest.mark.parametrize("start", [_start, keeper_process.ensure, _server])
def test_a_process_that_does_not_start_shows_no_secret_that_it_was_given(
    tmp_path: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    start: Callable[[Path, Settings], None],
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/true")

    with pytest.raises((detach.DetachError, local_server.LocalServerError), match="did not start") as caught:
        start(tmp_path, settings._replace(api_key=Secret(KEY)))

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "payload = {" in shown
    assert KEY not in shown
