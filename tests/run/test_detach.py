from __future__ import annotations

import traceback
from pathlib import Path

import pytest

from pytest_agb.run import detach
from pytest_agb.secret import Secret


def test_a_process_that_does_not_start_shows_no_secret_that_it_was_given(tmp_path: Path) -> None:
    payload = {"settings": {"api_key": Secret("ako-very-secret-0123456789")}}

    with pytest.raises(detach.DetachError, match="No module named 'not_there'") as caught:
        detach.start("not_there:main", payload, directory=tmp_path, log=tmp_path / "log")

    shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "payload = {" in shown
    assert "ako-very-secret" not in shown + (tmp_path / "log").read_text()
