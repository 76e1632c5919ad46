"""All the plugins of the neighbours' environment load by themselves, which takes seconds in each process."""

from __future__ import annotations

import pytest

#: By the names of their entry points: what takes long to import, and does nothing unasked; and flaky, beside
#: which pytest-rerunfailures reruns nothing.
_LEFT_OUT = (
    "flaky",
    "anyio",
    "asyncio",
    "hypothesispytest",
    "html",
    "html_fixtures",
    "metadata",
    "pytest-bdd",
    "pytest_cov",
    "fakefs",
    "pytest_httpx",
    "pytest-subprocess",
    "recording",
)


@pytest.fixture(autouse=True)
def load_few(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, clean_environment: None
) -> None:
    """Load, of these, what the tests of a module are about: its `LOADS`."""
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester")  # it takes the variable away
    wanted = getattr(request.module, "LOADS", ())
    options = " ".join(f"-p no:{name}" for name in _LEFT_OUT if name not in wanted)
    monkeypatch.setenv("PYTEST_ADDOPTS", f"{options} -o agb_end_timeout=30")
