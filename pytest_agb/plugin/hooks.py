"""The hooks: a table of contents of what pytest asks of us.

What a hook needs beyond the settings is imported where it is needed: start-up time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pytest_agb.plugin import hookspecs, options
from pytest_agb.plugin.stash import CONTROLLER, FORECAST, SETTINGS, SUMMARY, WORKER_OUTPUT
from pytest_agb.run import run_directory
from pytest_agb.settings import LOCAL, Settings

if TYPE_CHECKING:
    from collections.abc import Generator

    from _pytest.terminal import TerminalReporter
    from xdist.workermanage import WorkerController

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
        from pytest_agb.plugin.leased_session import (
            Witness,  # only where failures matter to us: start-up time
        )

        config.pluginmanager.register(Witness(), "agb-witness")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Hand the settings to an xdist worker, over xdist's own channel."""
    settings = node.config.stash[SETTINGS]._replace(workers=_workers_beside(node))
    node.workerinput[_WORKER_INPUT] = settings.to_wire()
    from pytest_agb.plugin.controller import attend  # only where sessions may be: start-up time

    attend(node.config).workers.append(node)


def _workers_beside(node: WorkerController) -> int:
    """How many workers share a run's directory with ``node``, itself included: those started as it is."""

    def place(spec: Any) -> tuple[object, ...]:
        return spec.popen, spec.ssh, spec.socket, spec.vagrant_ssh, str(spec.env)

    return sum(place(spec) == place(node.gateway.spec) for spec in node.nodemanager.specs)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is in force."""
    from pytest_agb.plugin.report import header  # only where a header is shown: start-up time

    return header.lines(config.stash[SETTINGS])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once with each image asked for, unless its marker names one."""
    images = metafunc.config.stash[SETTINGS].images
    if len(images) > 1 and "agb_image" in metafunc.fixturenames:
        from pytest_agb.plugin import marker  # most tests have no need of it: start-up time

        if not marker.names_image(metafunc.definition):
            metafunc.parametrize("agb_image", images, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Sweep before the first test, where that is asked for."""
    config = session.config
    settings = config.stash[SETTINGS]
    in_vain = hasattr(config, "workerinput") or config.option.collectonly or settings.backend == LOCAL
    if settings.sweep and not in_vain and not config.getoption("setupplan", False):
        from pytest_agb.plugin.report.sweep_line import (
            sweep_first,  # a run that does not sweep does not pay for it
        )

        sweep_first(settings, config.pluginmanager.getplugin("terminalreporter"))


@pytest.hookimpl(hookwrapper=True)  # not a new-style wrapper: pytest-rerunfailures is an old-style one
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None]:
    """Tell the pool which tests are to come, once one has asked for a session."""
    if "agb_session" not in getattr(item, "fixturenames", ()):
        yield
    else:
        from pytest_agb.plugin import forecast  # only where sessions are used: start-up time

        tests = forecast.of(item.session)
        tests.begins(item, nextitem)
        yield
        tests.ends(item, nextitem)
    _look_for_sessions_of_forked_tests(item.config)


def _look_for_sessions_of_forked_tests(config: pytest.Config) -> None:
    if hasattr(config, "workerinput") or CONTROLLER in config.stash:
        return
    if run_directory.exists(config.stash[SETTINGS].run_id):
        from pytest_agb.plugin.controller import attend

        attend(config).look()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Refuse a marker that the configured scope would ignore, and a session past its lifetime."""
    settings = item.config.stash[SETTINGS]
    if settings.scope == "function":
        return
    from pytest_agb.plugin import marker  # only a wide scope can ignore one: start-up time

    reason = marker.ignored(item, settings.scope)
    if reason:
        pytest.fail(reason, pytrace=False)
    if FORECAST in item.config.stash:
        from pytest_agb.plugin import leased_session  # sessions are used: only then does it pay for this

        leased_session.look_at_age(item)


@pytest.hookimpl(trylast=True)  # in the controller that is after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In the controller: wait for the keeper to delete what is left, and look whether anything is."""
    config = session.config
    settings = config.stash[SETTINGS]
    worker_output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if worker_output is not None:
        worker_output[WORKER_OUTPUT] = (
            run_directory.place() if run_directory.exists(settings.run_id) else None
        )
        return
    controller = config.stash.get(CONTROLLER, None)
    elsewhere = controller is not None and controller.elsewhere()
    if not elsewhere and not run_directory.exists(settings.run_id):
        return
    from pytest_agb.plugin.report.summary import Progress
    from pytest_agb.pool.shutdown import drain  # the run used sessions: only then does it pay for this

    progress = Progress(config.pluginmanager.getplugin("terminalreporter"))
    try:
        summary = drain(settings, progress, elsewhere=elsewhere, kept=controller.kept() if controller else {})
    finally:
        if controller is not None:
            controller.leave()
    config.stash[SUMMARY] = summary
    if summary is not None:
        options.remember_times(config, settings.backend, summary.times)


def pytest_terminal_summary(terminalreporter: TerminalReporter, config: pytest.Config) -> None:
    """Say what became of the run's sessions."""
    summary = config.stash.get(SUMMARY, None)
    if summary is not None:
        from pytest_agb.plugin.report.summary import lines

        for line in lines(summary, config.stash[SETTINGS], verbosity=config.get_verbosity()):
            terminalreporter.write_line(line)
