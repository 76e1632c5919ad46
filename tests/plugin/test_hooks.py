"""The plugin works by whatever name, and however often, it is asked for."""

from __future__ import annotations

import pytest
from support.standin import StandIn

BY_MODULE = ["-p", "pytest_agb.plugin"]
BY_ENTRY_POINT = ["-p", "agb"]


@pytest.mark.parametrize("autoload", [True, False], ids=["autoload", "no-autoload"])
@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(BY_MODULE, id="module"),
        pytest.param(BY_ENTRY_POINT, id="entry-point"),
        pytest.param([*BY_MODULE, *BY_ENTRY_POINT], id="module-first"),
        pytest.param([*BY_ENTRY_POINT, *BY_MODULE], id="entry-point-first"),
    ],
)
def test_asked_for_by_an_option(
    pytester: pytest.Pytester,
    cloud: StandIn,
    monkeypatch: pytest.MonkeyPatch,
    autoload: bool,
    arguments: list[str],
) -> None:
    if not autoload:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess(*arguments)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: 1 session created, 1 deleted, 0 kept, 0 left"])


def test_asked_for_beside_xdist(
    pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess(*BY_MODULE, "-p", "xdist", "-n1")

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["agb: 1 session created, 1 deleted, 0 kept, 0 left"])


@pytest.mark.parametrize("autoload", [True, False], ids=["autoload", "no-autoload"])
def test_asked_for_by_a_conftest(
    pytester: pytest.Pytester, cloud: StandIn, monkeypatch: pytest.MonkeyPatch, autoload: bool
) -> None:
    if not autoload:
        monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makeconftest("pytest_plugins = ['pytest_agb.plugin']")
    pytester.makepyfile("def test_it(agb_session): pass")

    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_left_out_it_stays_out(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(agb_session): pass")

    result = pytester.runpytest_subprocess("-p", "no:agb", "-o", "addopts=")

    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*fixture 'agb_session' not found"])
