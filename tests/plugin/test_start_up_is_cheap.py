"""Who has the plugin installed and asks for no session pays for no more than its own few modules."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("httpx", "httpcore", "filelock", "dotenv", "starlette", "uvicorn", "agb")


def test_a_run_without_sessions_imports_nothing_heavy(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        f"""
        import sys

        def pytest_unconfigure(config):
            heavy = [name for name in {HEAVY!r} if name in sys.modules]
            ours = [name for name in sys.modules if name.startswith(
                ("pytest_agb.client", "pytest_agb.pool", "pytest_agb.local"))]
            print("imported:", heavy + ours)
        """
    )
    pytester.makepyfile("def test_it(): pass")
    pytester.makeini("[pytest]\n")

    # A header may have to look at the machine's isolation.
    result = pytester.runpytest_subprocess("-p", "no:xdist", "-q")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["imported: []"])


def test_importing_the_package_imports_nothing_heavy() -> None:
    code = f"import sys, pytest_agb; print([name for name in {HEAVY!r} if name in sys.modules])"

    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )


def test_every_public_name_is_there() -> None:
    import pytest_agb

    assert all(getattr(pytest_agb, name) is not None for name in pytest_agb.__all__)
