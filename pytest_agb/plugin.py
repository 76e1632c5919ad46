"""The pytest plugin: a table of contents of what pytest sees of us.

Every pytest run in the user's environment imports this module, so it imports nothing that a run without
sessions does not need: neither httpx nor filelock nor anything of `client`, `pool` or `local`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb import hookspecs, options, rundir
from pytest_agb.fixtures import (
    _agb_pool,
    agb,
    agb_image,
    agb_session,
    agb_session_factory,
    agb_session_params,
)
from pytest_agb.settings import LOCAL, Settings
from pytest_agb.stash import ATTENDANCE, DEMAND, SETTINGS, SUMMARY, WORKER_OUTPUT

if TYPE_CHECKING:
    from collections.abc import Generator

    from _pytest.terminal import TerminalReporter
    from xdist.workermanage import WorkerController

__all__ = [
    "_agb_pool",
    "agb",
    "agb_image",
    "agb_session",
    "agb_session_factory",
    "agb_session_params",
    "pytest_addhooks",
    "pytest_addoption",
    "pytest_configure",
    "pytest_configure_node",
    "pytest_generate_tests",
    "pytest_report_header",
    "pytest_runtest_protocol",
    "pytest_runtest_setup",
    "pytest_runtestloop",
    "pytest_sessionfinish",
    "pytest_terminal_summary",
]

_MARKER = (
    "agb(image=None, labels=None, idle_timeout=None, policy_id=None): "
    "the AGB session of this test: its image ID, labels merged over the configured ones, idle timeout in "
    "seconds, and policy ID (pytest-agb)."
)
#: Key of our settings in what xdist's controller sends to each worker.
_WORKER_INPUT = "agb_settings"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that a project can implement."""
    pluginmanager.add_hookspecs(hookspecs)


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the settings in the controller; take them as they are in a worker."""
    config.addinivalue_line("markers", _MARKER)
    worker_input: dict[str, Any] | None = getattr(config, "workerinput", None)
    if worker_input is None:
        config.stash[SETTINGS] = options.resolve(config)
    else:
        config.stash[SETTINGS] = Settings.from_wire(worker_input[_WORKER_INPUT])
    if config.stash[SETTINGS].keep_failed:
        from pytest_agb.held import Witness  # only where failures matter to us: start-up time

        config.pluginmanager.register(Witness(), "agb-witness")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Hand the settings to an xdist worker, over xdist's own channel."""
    settings = node.config.stash[SETTINGS]._replace(workers=_workers_beside(node))
    node.workerinput[_WORKER_INPUT] = settings.to_wire()
    from pytest_agb.attendance import attend  # only where sessions may be: start-up time

    attend(node.config).workers.append(node)


def _workers_beside(node: WorkerController) -> int:
    """How many workers share a run's directory with ``node``, itself included: those started as it is."""

    def place(spec: Any) -> tuple[object, ...]:
        return spec.popen, spec.ssh, spec.socket, spec.vagrant_ssh, str(spec.env)

    return sum(place(spec) == place(node.gateway.spec) for spec in node.nodemanager.specs)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is in force."""
    from pytest_agb.report import header  # only where a header is shown: start-up time

    return header.lines(config.stash[SETTINGS])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once with each image asked for, unless its marker names one."""
    images = metafunc.config.stash[SETTINGS].images
    if len(images) > 1 and "agb_image" in metafunc.fixturenames:
        from pytest_agb import marker  # most tests have no need of it: start-up time

        if not marker.names_image(metafunc.definition):
            metafunc.parametrize("agb_image", images, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Sweep before the first test, where that is asked for."""
    config = session.config
    settings = config.stash[SETTINGS]
    in_vain = hasattr(config, "workerinput") or config.option.collectonly or settings.backend == LOCAL
    if settings.sweep and not in_vain and not config.getoption("setupplan", False):
        from pytest_agb.report.sweeping import sweep_first  # a run that does not sweep does not pay for it

        sweep_first(settings, config.pluginmanager.getplugin("terminalreporter"))


@pytest.hookimpl(hookwrapper=True)  # not a new-style wrapper: pytest-rerunfailures is an old-style one
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Tell the pool which tests are to come, once one has asked for a session."""
    if "agb_session" not in getattr(item, "fixturenames", ()):
        yield
    else:
        from pytest_agb import demand  # only where sessions are used: start-up time

        tests = demand.of(item.session)
        tests.begins(item, nextitem)
        yield
        tests.ends(item, nextitem)
    _look_for_sessions_of_forked_tests(item.config)


def _look_for_sessions_of_forked_tests(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or ATTENDANCE in config.stash:
        return
    if rundir.exists(config.stash[SETTINGS].run_id):
        from pytest_agb.attendance import attend

        attend(config).look()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that the configured scope would ignore, and a session past its lifetime."""
    settings = item.config.stash[SETTINGS]
    if settings.scope == "function":
        return
    from pytest_agb import marker  # only a wide scope can ignore one: start-up time

    reason = marker.ignored(item, settings.scope)
    if reason:
        pytest.fail(reason, pytrace=False)
    if DEMAND in item.config.stash:
        from pytest_agb import held  # sessions are used: only then does it pay for this

        held.look_at_age(item)


@pytest.hookimpl(trylast=True)  # in the controller that is after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In the controller: wait for the keeper to delete what is left, and look whether anything is."""
    config = session.config
    settings = config.stash[SETTINGS]
    worker_output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if worker_output is not None:
        worker_output[WORKER_OUTPUT] = rundir.place() if rundir.exists(settings.run_id) else None
        return
    attendance = config.stash.get(ATTENDANCE, None)
    elsewhere = attendance is not None and attendance.elsewhere()
    if not elsewhere and not rundir.exists(settings.run_id):
        return
    from pytest_agb.pool.drain import drain  # the run used sessions: only then does it pay for this
    from pytest_agb.report.terminal import Progress

    progress = Progress(config.pluginmanager.getplugin("terminalreporter"))
    try:
        summary = drain(settings, progress, elsewhere=elsewhere, kept=attendance.kept() if attendance else {})
    finally:
        if attendance is not None:
            attendance.leave()
    config.stash[SUMMARY] = summary
    if summary is not None:
        options.remember_times(config, settings.backend, summary.times)


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Say what became of the run's sessions."""
    summary = config.stash.get(SUMMARY, None)
    if summary is not None:
        from pytest_agb.report.terminal import lines

        for line in lines(summary, config.stash[SETTINGS], verbosity=config.get_verbosity()):
            terminalreporter.write_line(line)
