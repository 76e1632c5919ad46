"""With pytest-timeout, which ends a test that takes too long, its process too if need be."""

from __future__ import annotations

import pytest
from support.suite import WAITS, Suite, options


@pytest.mark.parametrize("method", ["thread", "signal"])
@pytest.mark.parametrize(
    ("workers", "scope"), [([], "function"), (["-n2"], "session")], ids=["plain-function", "xdist-session"]
)
def test_nothing_is_left_by_a_test_that_took_too_long(
    suite: Suite, workers: list[str], scope: str, method: str
) -> None:
    suite.write(WAITS)
    # Counted from the test's own start: setting a session up takes as long as the machine is busy.
    (suite.directory / "pytest.ini").write_text("[pytest]\ntimeout_func_only = true\n")
    suite.run("--timeout=1", f"--timeout-method={method}", *options(workers, scope))
    suite.assert_nothing_left()
