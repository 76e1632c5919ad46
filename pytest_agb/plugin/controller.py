"""The controller's eye on where its run has sessions: on this host, and on the hosts of remote workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pytest_agb.plugin.stash import CONTROLLER, SETTINGS, WORKER_KEPT, WORKER_OUTPUT
from pytest_agb.run import run_directory

if TYPE_CHECKING:
    import pytest
    from xdist.workermanage import WorkerController

    from pytest_agb.run.members import Member
    from pytest_agb.settings import Settings


def attend(config: pytest.Config) -> Controller:
    """Have the controller of a run that may have sessions look where it has some."""
    if CONTROLLER not in config.stash:
        config.stash[CONTROLLER] = Controller(config.stash[SETTINGS])
        config.pluginmanager.register(config.stash[CONTROLLER], "agb-controller")
    return config.stash[CONTROLLER]


class Controller:
    """A plugin of the controller."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: The workers that xdist has started.
        self.workers: list[WorkerController] = []
        self._member: Member | None = None
        self._pid = os.getpid()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look whether a worker has used sessions by now."""
        if report.when != "call":
            self.look()

    def look(self) -> None:
        """Become a member of the run once it has used sessions.

        The keeper leaves, and takes along what there is to report, when no member has lived for a while:
        after the last worker that uses sessions, or the last forked test, or while fixtures that are wider
        than ours are torn down.
        """
        if self._member is None and run_directory.exists(self._settings.run_id):
            from pytest_agb.run import members, one_per_host  # the run uses sessions: only then does it pay

            self._member = one_per_host.join(self._settings.run_id, members.Role.REPORTER)

    def elsewhere(self) -> bool:
        """Whether a worker had sessions that this host knows nothing of. Ask when the workers have ended."""
        # Not all ends of workers reach `pytest_testnodedown`. One that crashed says nothing.
        outputs = [getattr(worker, "workeroutput", {}) for worker in self.workers]
        places = {output.get(WORKER_OUTPUT) for output in outputs} - {None}
        return bool(places) and not places <= {run_directory.place()}

    def kept(self) -> dict[str, str]:
        """The sessions that workers have left to the user, each with what for. Ask when they have ended."""
        outputs = [getattr(worker, "workeroutput", {}) for worker in self.workers]
        return {session: why for output in outputs for session, why in output.get(WORKER_KEPT, ())}

    def leave(self) -> None:
        """End the membership; a test's forked child that gets here has none to end."""
        if self._member is not None and self._pid == os.getpid():
            self._member.leave()
            self._member = None
