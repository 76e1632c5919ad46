"""What is done around each test of a run that uses sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_agb.plugin.stash import PROPERTIES, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Generator

    import pluggy

    from pytest_agb.dossier.journal import Journal
    from pytest_agb.plugin.forecast import Forecast

#: Of the plugin below, which is there where a test is known to name a fixture of ours.
NAME = "agb-per-test"


class PerTest:
    """A plugin of the processes that run tests."""

    def __init__(self, current: pytest.Item | None = None) -> None:
        #: The test that runs now.
        self.current = current
        self._forecast: Forecast | None = None
        self._journal: Journal | None = None
        #: Of that test; empty where nothing was known of it at its beginning.
        self._phase = ""

    @pytest.hookimpl(hookwrapper=True)  # not a new-style wrapper: pytest-rerunfailures is an old-style one
    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
        """Tell the pool which tests are to come, once one has asked for a session."""
        from pytest_agb.plugin.forecast import uses_session  # only where sessions are used: start-up time

        self.current = item
        self._begins(item)
        if uses_session(item):
            forecast = self.forecast(item.session)
            forecast.begins(nextitem)
            yield
            forecast.ends(item, nextitem)
        else:
            yield
        self.current = None

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Refuse a marker that the configured scope would ignore, and a session that can't be used."""
        self._begins(item)  # again: it may be another attempt at it
        scope = item.config.stash[SETTINGS].scope
        if scope == "function":
            return
        from pytest_agb.plugin import lifetime, marker  # only a wide scope needs them: start-up time

        reason = marker.ignored(item, scope)
        if reason:
            pytest.fail(reason, pytrace=False)
        lifetime.look(item)

    def _begins(self, item: pytest.Item) -> None:
        from pytest_agb.plugin import joining  # only where sessions are used: start-up time

        if item.user_properties:  # those of an earlier attempt
            item.user_properties[:] = [pair for pair in item.user_properties if pair[0] not in PROPERTIES]
        self._phase = "setup"
        journal = joining.journal(item.config)
        if journal is not None:
            self.has(journal)

    def has(self, journal: Journal) -> None:
        """The test that runs now has this process join the run, if it has not joined before."""
        self._journal = journal
        journal.begins(self.current.nodeid if self.current else "", self._phase)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_call(self) -> None:
        """Note that what is called from now on the test itself calls."""
        self._enters("call")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self) -> None:
        """Note that the test is over."""
        self._enters("teardown")

    def _enters(self, phase: str) -> None:
        self._phase = phase
        if self._journal is not None:
            self._journal.phase = phase

    # Innermost, so that pytest-rerunfailures and pytest-html, which look at a report, find it complete.
    @pytest.hookimpl(hookwrapper=True, trylast=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pluggy.Result[pytest.TestReport]]:
        """Have a ScopeMismatch of our fixtures say what to do, and a failed test tell of its sessions."""
        excinfo = call.excinfo
        if excinfo is not None and isinstance(excinfo.value, pytest.fail.Exception):
            from pytest_agb.plugin import misuse  # only where there may be something to say: start-up time

            misuse.explain_mismatch(item, excinfo.value)
        if excinfo is None or self._journal is None or isinstance(excinfo.value, pytest.skip.Exception):
            yield
            return
        from pytest_agb.plugin import dossiers  # only where a test fails: start-up time

        dossiers.hide_our_frames(excinfo)
        outcome = yield
        report = outcome.get_result()
        if report.failed:
            dossiers.tell(item, excinfo, report, self._journal)

    def forecast(self, session: pytest.Session) -> Forecast:
        """The tests to come of this process."""
        if self._forecast is None:
            from pytest_agb.plugin.forecast import Forecast  # only where sessions are used: start-up time

            self._forecast = Forecast(session.items, session.config.stash[SETTINGS].scope)
        return self._forecast


def register(pluginmanager: pytest.PytestPluginManager) -> None:
    """Have the hooks called.

    Asked for before there are conftests, since hooks are called in reverse: a conftest that skips a test in
    its setup comes first.
    """
    pluginmanager.register(PerTest(), NAME)


def unregister(pluginmanager: pytest.PytestPluginManager) -> None:
    """Spare a run that uses no sessions the calls."""
    pluginmanager.unregister(name=NAME)


def ensure(config: pytest.Config, current: pytest.Item) -> None:
    """Have the hooks called from the next test on, where no test was known to use sessions and one does."""
    if not config.pluginmanager.hasplugin(NAME):
        config.pluginmanager.register(PerTest(current), NAME)


def of(config: pytest.Config) -> PerTest:
    """The plugin of this process, in which a test has asked for a session."""
    plugin = config.pluginmanager.get_plugin(NAME)
    assert isinstance(plugin, PerTest)
    return plugin
