"""A test that runs pytest in its own process, or in a fork of it: both runs are whole, each with an end."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.clocks import WAYS
from support.suite import USE, Suite
from support.variants import slow_but

SOURCE = (
    USE
    + """
    pytest_plugins = ["pytester"]
    INNER = "def test_inner(agb_session): assert agb_session.get_status().success"

    def main(directory):
        (directory / f"test_in_{directory.name}.py").write_text(INNER)
        ini = ["-o", "agb_local_isolation=any"]
        return pytest.main(["-p", "no:cacheprovider", *ini, "--rootdir", str(directory), str(directory)])

    @pytest.fixture(autouse=True)
    def lives_on(agb_session):
        use(agb_session, "before")
        yield
        use(agb_session, "after")

    def test_in_process(pytester):
        pytester.makepyfile(INNER)
        pytester.makeini("[pytest]\\nagb_local_isolation = any")
        for _ in range(2):
            pytester.runpytest_inprocess("-p", "no:cacheprovider").assert_outcomes(passed=1)

    def test_in_a_thread(tmp_path):
        codes = []
        thread = threading.Thread(target=lambda: codes.append(main(tmp_path)))
        thread.start()
        thread.join()
        assert codes == [0]

    def test_in_a_forked_child(tmp_path):
        child = os.fork()
        if not child:
            code = 99
            try:
                code = main(tmp_path)
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def test_after(): pass
"""
)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("way", slow_but(lambda way: way in ("plain", "xdist-local"), WAYS))
def test_inner_and_outer_run_both_have_their_sessions_to_their_ends(
    suite: Suite, temp_directory: Path, way: str
) -> None:
    suite.write(SOURCE)

    assert "4 passed" in suite.run("-p", "no:randomly", "--agb-scope=session", "-s", *WAYS[way])

    last = suite.output.splitlines()
    assert not [line for line in last if "taken for dead" in line]
    ends = re.findall(r"^agb: (\d+) sessions? created, (\d+) deleted, 0 kept, 0 left$", suite.output, re.M)
    assert ends
    assert all(created == deleted != "0" for created, deleted in ends), suite.output
    if "local" not in way:
        assert len(suite.created) >= 5
        suite.assert_nothing_left(created=5)
