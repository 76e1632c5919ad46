"""The hooks: a table of contents of what pytest asks of us in every run.

What a hook needs beyond the settings is imported where it is needed: start-up time. For the same reason the
hooks around each test are in `per_test`, and are called in runs that use sessions only.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from pytest_agb.plugin import controller, hookspecs, options, per_test, scopes
from pytest_agb.plugin.pytest_internals import is_parametrized, is_within_a_test, own_markers
from pytest_agb.plugin.stash import JOB_SUMMARY, SETTINGS
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

#: The lines of the header on fixtures that are not ours.
_TOLD: pytest.StashKey[list[str]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    options.add_options(parser)


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Declare the hooks that a project can implement, as soon as we are there."""
    pluginmanager.add_hookspecs(hookspecs)
    for name in _NAMES:
        if not pluginmanager.hasplugin(name):
            # Taken, so that who asks for us twice has us once: pluggy refuses one plugin by two names.
            pluginmanager.register(object(), name)
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
    on_github = os.environ.get("GITHUB_ACTIONS") == "true" and not controller.is_worker(config)
    # Asked now: whichever pytest runs a test in its own process takes that variable away.
    if on_github and not is_within_a_test(os.environ):
        config.stash[JOB_SUMMARY] = os.environ.get("GITHUB_STEP_SUMMARY", "")
    if config.stash[SETTINGS].report and not controller.is_worker(config):
        from pathlib import Path

        from pytest_agb.plugin.outlets.report_file import (
            ReportFile,  # only where it is asked for: start-up time
        )

        config.pluginmanager.register(ReportFile(Path(config.stash[SETTINGS].report)), "agb-report-file")
    if config.stash[SETTINGS].keep_failed:
        from pytest_agb.plugin.keep_failed import KeepFailed  # only where failures matter: start-up time

        config.pluginmanager.register(KeepFailed(), "agb-keep-failed")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: WorkerController) -> None:
    """Hand the settings to an xdist worker, over xdist's own channel."""
    controller.hand_out(node)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodeready(node: WorkerController) -> None:
    """Forget what the worker has read by now."""
    controller.handed_over(node)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is in force."""
    from pytest_agb.plugin.report import header  # only where a header is shown: start-up time

    config.stash[_TOLD] = _overridden(config)
    elsewhere = header.dotenv_elsewhere(config.rootpath)
    return header.lines(config.stash[SETTINGS]) + elsewhere + config.stash[_TOLD]


def _overridden(config: pytest.Config) -> list[str]:
    others = [
        plugin for plugin in config.pluginmanager.get_plugins() if plugin is not sys.modules[__package__]
    ]
    if not any(hasattr(plugin, name) for plugin in others for name in scopes.GIVING):
        return []
    from pytest_agb.plugin import misuse  # only where there is something to say: start-up time

    return misuse.overridden(config)


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> list[str]:
    """Say which of our fixtures are not ours, as far as the header could not know."""
    if not any(scopes.names(item, scopes.GIVING) for item in items):
        return []
    from pytest_agb.plugin import misuse  # as above

    return [line for line in misuse.overridden_for(config, items) if line not in config.stash.get(_TOLD, [])]


@pytest.hookimpl(trylast=True)  # after all who may have parametrized it
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test once with each image asked for, unless its marker or a parameter names one."""
    images = metafunc.config.stash[SETTINGS].images
    if len(images) > 1 and "agb_image" in metafunc.fixturenames:
        from pytest_agb.plugin import marker  # most tests have no need of it: start-up time

        if not marker.names_image(metafunc.definition) and not is_parametrized(metafunc, "agb_image"):
            metafunc.parametrize("agb_image", images, indirect=True)


def pytest_collection_finish(session: pytest.Session) -> None:
    """See whether there is something to do around each test."""
    if not any(scopes.names(item, scopes.OURS) for item in session.items):
        per_test.unregister(session.config.pluginmanager)
    if any(own_markers(item, "agb") and not scopes.names(item, scopes.MARKED) for item in session.items):
        from pytest_agb.plugin import misuse  # only where there may be something to say: start-up time

        session.config.pluginmanager.register(misuse.MarkedTests())
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
    removed = eye is not None and eye.look()
    used = eye is not None and eye.used
    if elsewhere or removed or used or run_directory.exists(settings.run_id, settings.temp_directory):
        from pytest_agb.plugin import end_of_run  # the run used sessions: only then does it pay for this

        end_of_run.wait(config, elsewhere=elsewhere, used=used)
