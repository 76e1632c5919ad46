"""What runs no test with a session creates none, and starts no server."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.standin import StandIn

SUITE = """
    import pytest

    def test_with_session(agb_session): pass

    def test_with_factory(agb_session_factory): agb_session_factory()

    @pytest.mark.skip(reason="not today")
    def test_skipped(agb_session): pass

    def test_without(): pass
"""
#: More, in the cloud, are in `test_joined_early`.
IN_VAIN = {
    "collect-only": ["--collect-only"],
    "skipped": ["-k", "skipped"],
    "help": ["--help"],
    "fixtures": ["--fixtures"],
    "xdist": ["-n2", "-k", "without or skipped"],
}


@pytest.mark.parametrize("arguments", [IN_VAIN["help"], IN_VAIN["fixtures"]], ids=["help", "fixtures"])
def test_in_the_cloud(pytester: pytest.Pytester, cloud: StandIn, arguments: list[str]) -> None:
    pytester.makepyfile(SUITE)

    assert pytester.runpytest_subprocess(*arguments).ret == pytest.ExitCode.OK
    assert len(cloud.requests) == 0


@pytest.mark.parametrize("arguments", IN_VAIN.values(), ids=IN_VAIN)
def test_locally(pytester: pytest.Pytester, temp_directory: Path, arguments: list[str]) -> None:
    pytester.makepyfile(SUITE)

    assert pytester.runpytest_subprocess(*arguments).ret == pytest.ExitCode.OK
    assert not list(temp_directory.glob("pytest-agb-*"))
