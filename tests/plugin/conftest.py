from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.standin import StandIn
from support.suite import end_keepers


@pytest.fixture(autouse=True)
def local_isolation(pytester: pytest.Pytester) -> None:
    """These tests are about pytest: they hold on a machine without namespaces too."""
    pytester.makeini("[pytest]\nagb_local_isolation = any\n")


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch, temp_directory: Path) -> Iterator[StandIn]:
    """A stand-in service, set in the environment as the cloud is: its account is what the suite sees."""
    with StandIn() as service:
        monkeypatch.setenv("AGB_ENDPOINT", service.endpoint)
        monkeypatch.setenv("AGB_API_KEY", service.api_key)
        yield service
        end_keepers(temp_directory)


@pytest.fixture
def seen(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory where tests of the suite under test leave what they saw; ``SEEN`` names it to them."""
    directory = pytester.path / "seen"
    directory.mkdir()
    monkeypatch.setenv("SEEN", str(directory))
    return directory
