"""The hooks: a table of contents of what pytest asks of us in every run.

What a hook needs beyond the settings is imported where it is needed: start-up time. For the same reason the
hooks around each test are in `per_test`, and are called in runs that use sessions only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pytest_agb.plugin import controller, hookspecs, options, per_test, scopes
from pytest_agb.plugin.stash import SETTINGS
from pytest_agb.run import run_directory
from pytest_agb.settings import LOCAL, Settings

if TYPE_CHECKING:
    from xdist.workermanage import WorkerController

_MARKER = (
    "agb(image=None, labels=None, idle_timeout=None, policy_id=None): "
    "the AGB session of this test: its image ID, labels merged over the configured ones, idle timeout in "
    "seconds, and policy ID (pytest-agb)."
)
#: What we can be asked for by: the entry point's name, and the module's (``-p``, ``pytest_plugins``).
_NAMES = ("agb", "pytest_agb.plugin")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that a project can implement, as soon as we are there."""
    pluginmanager.add_hookspecs(hookspecs)
    for name in _NAMES:
        if not pluginmanager.hasplugin(name):
            pluginmanager.set_blocked(name)  # else who asks for us twice, by both names, has no run
    per_test.register(pluginmanager)


def pytest_configure(config: pytest.Config) -> None:
    """Resolve the settings in the controller; take them as they are in a worker."""
    config.addinivalue_line("markers", _MARKER)
    if controller.is_worker(config):
        # A worker may be on another host.
        config.stash[SETTINGS] = Settings.from_wire(controller.handed_out(config))._replace(
            temp_directory=run_directory.temp_directory()
        )
    else:
        config.stash[SETTINGS] = options.resolve(config)
    if config.stash[SETTINGS].keep_failed:
        from pytest_agb.plugin.keep_failed import KeepFailed  # only where failures matter: start-up time

        config.pluginmanager.register(KeepFailed(), "agb-keep-failed")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Hand the settings to an xdist worker, over xdist's own channel."""
    controller.hand_out(node)


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


def pytest_collection_finish(session: pytest.Session) -> None:
    """See whether there is something to do around each test."""
    if not any(scopes.names(item, scopes.OURS) for item in session.items):
        per_test.unregister(session.config.pluginmanager)
    if not controller.is_worker(session.config) and _is_any_forked(session):
        # What a test in a process of its own asks for as it runs nobody else sees.
        controller.attend(session.config)


def _is_any_forked(session: pytest.Session) -> bool:
    if not session.config.pluginmanager.hasplugin("pytest_forked"):
        return False
    return session.config.getoption("forked") or any(map(_is_forked, session.items))


def _is_forked(item: pytest.Item) -> bool:
    return item.get_closest_marker("forked") is not None


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> None:
    """Sweep before the first test, where that is asked for; join the run, where tests will."""
    config = session.config
    settings = config.stash[SETTINGS]
    in_vain = controller.is_worker(config) or config.option.collectonly or settings.backend == LOCAL
    if settings.sweep and not in_vain and not config.getoption("setupplan", False):
        from pytest_agb.plugin.report.sweep_line import sweep_first  # who does not sweep does not pay for it

        sweep_first(config)
    if config.pluginmanager.hasplugin(per_test.NAME):
        from pytest_agb.plugin import joining  # only where a test names a fixture of ours: start-up time

        joining.join_early(session)


@pytest.hookimpl(trylast=True)  # in the controller that is after xdist has ended its workers
def pytest_sessionfinish(session: pytest.Session) -> None:
    """In the controller: wait for the keeper to delete what is left, and look whether anything is."""
    config = session.config
    if config.pluginmanager.hasplugin(per_test.NAME):
        from pytest_agb.plugin import joining  # as above

        joining.leave(config)  # where no test came to ask
    if controller.is_worker(config):
        controller.report_place(config)
        return
    eye = controller.find(config)
    elsewhere = eye is not None and eye.elsewhere()
    settings = config.stash[SETTINGS]
    if elsewhere or run_directory.exists(settings.run_id, settings.temp_directory):
        from pytest_agb.plugin import end_of_run  # the run used sessions: only then does it pay for this

        end_of_run.wait(config, elsewhere=elsewhere)
