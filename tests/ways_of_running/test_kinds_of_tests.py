"""What has sessions besides test functions, and a plugin that is asked for by its module's name alone."""

from __future__ import annotations

import pytest
from support.mocks import SANDBOX, TRIED, WAYS, answer_tools, joined
from support.suite import Suite

TESTS = """
    import unittest

    class TestUnit(unittest.TestCase):
        @pytest.fixture(autouse=True)
        def own(self, agb_session): self.session = agb_session

        def setUp(self): use_sandbox(self.session)

        def test_it(self): use_sandbox(self.session)

        def test_sub(self):
            for number in range(2):
                with self.subTest(number=number): use_sandbox(self.session)

    @pytest.mark.usefixtures("agb_session")
    class TestMarked(unittest.TestCase):
        def test_it(self): pass

    class TestAsync(unittest.IsolatedAsyncioTestCase):
        @pytest.fixture(autouse=True)
        def own(self, agb_session): self.session = agb_session

        async def test_it(self): use_sandbox(self.session)

    def doctested():
        '''
        >>> session = getfixture("agb_session")
        >>> session.command.execute_command("echo hello").output.strip()
        'hello'
        '''
"""
#: Of pytest 9.
SUBTESTS = """
    def test_subtests(agb_session, subtests):
        for number in range(2):
            with subtests.test(number=number): use_sandbox(agb_session)
"""


@pytest.mark.parametrize("way", TRIED)
@pytest.mark.parametrize(
    "autoload", [pytest.param(True, marks=pytest.mark.slow), False], ids=["autoload", "by-name"]
)
def test_each_has_its_session(
    suite: Suite, way: str, autoload: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer_tools(suite)
    subtests = hasattr(pytest, "Subtests")
    suite.write(joined(SANDBOX, TESTS, SUBTESTS * subtests))
    named = []
    if not autoload:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        named = ["-p", "pytest_agb.plugin", *["-p", "xdist"] * ("xdist" in way)]

    output = suite.run("--doctest-modules", *named, *WAYS[way])

    assert f"{5 + subtests} passed" in output, output
    suite.assert_says_nothing_left()
    if "local" not in way:
        suite.assert_nothing_left(created=5 + subtests)
