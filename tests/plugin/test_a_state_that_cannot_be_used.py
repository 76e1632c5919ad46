"""A run whose state on this host is damaged or has no room: tests say so, and the run comes to its end."""

from __future__ import annotations

import pytest
from support.standin import StandIn

#: Spoils the run's state in some way, in the middle of the run.
SUITE = """
    import pathlib, pytest, resource, tempfile

    def state():
        (path,) = pathlib.Path(tempfile.gettempdir()).glob("pytest-agb-*/run-*/slots.sqlite3")
        return path

    def test_before(agb_session): pass

    def test_spoils():
        {spoil}

    @pytest.mark.parametrize("number", range(3))
    def test_after(agb_session, number): pass

    def test_without(): pass
"""
DAMAGE = """
        for path in state().parent.glob("slots.sqlite3*"):
            path.write_bytes(b"no database at all" * 1000)
"""
FULL = """
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
"""


@pytest.mark.parametrize(
    ("spoil", "trouble"),
    [
        pytest.param(
            DAMAGE, "It is damaged: delete what is left by pytest-agb sweep --run run-*", id="damaged"
        ),
        pytest.param(FULL, "Free space on its disk, or set TMPDIR to a directory on another one", id="full"),
    ],
)
def test_it_fails_the_tests_that_need_it_with_its_name_and_the_remedy(
    pytester: pytest.Pytester, cloud: StandIn, spoil: str, trouble: str
) -> None:
    pytester.makepyfile(SUITE.format(spoil=spoil.strip()))

    result = pytester.runpytest_subprocess("-p", "no:randomly")

    result.assert_outcomes(passed=3, errors=3)
    result.stdout.fnmatch_lines(
        [f"no AGB session: the run's state in *slots.sqlite3 can't be used: *{trouble}*"]
    )
    result.stdout.no_fnmatch_line("*INTERNALERROR*")
    result.stdout.fnmatch_lines(["agb: *"])
