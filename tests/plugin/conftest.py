from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def local_isolation(pytester: pytest.Pytester) -> None:
    """These tests are about pytest: they hold on a machine without namespaces too."""
    pytester.makeini("[pytest]\nagb_local_isolation = any\n")


@pytest.fixture(autouse=True)
def patience(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that is busy with other tests, a session may not be seen gone within a second."""
    monkeypatch.setenv("PYTEST_ADDOPTS", "-o agb_end_timeout=30")


@pytest.fixture
def seen(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where tests of the suite under test leave what they saw; ``SEEN`` names it to them."""
    directory = pytester.path / "seen"
    directory.mkdir()
    monkeypatch.setenv("SEEN", str(directory))
    return directory
