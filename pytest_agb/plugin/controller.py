"""The controller of a run, and its workers: who is which, and where they have sessions."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pytest_agb import real
from pytest_agb.plugin.stash import SETTINGS, WORKER_INPUT, WORKER_KEPT, WORKER_OUTPUT
from pytest_agb.run import run_directory

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest
    from xdist.workermanage import WorkerController

    from pytest_agb.run.members import Member
    from pytest_agb.settings import Settings

_NAME = "agb-controller"


# ---- in any process --------------------------------------------------------------------------------------


def is_worker(config: pytest.Config) -> bool:
    """Whether this process is one of xdist's workers, rather than what the user has started."""
    return hasattr(config, "workerinput")


def title(config: pytest.Config) -> str:
    """What this process is called: by xdist its worker's name, else nothing."""
    return str(_from_controller(config)["workerid"]) if is_worker(config) else ""


def attend(config: pytest.Config) -> Controller:
    """Have the controller of a run that may have sessions look where it has some."""
    controller = find(config)
    if controller is None:
        controller = Controller(config.stash[SETTINGS])
        config.pluginmanager.register(controller, _NAME)
    return controller


def find(config: pytest.Config) -> Controller | None:
    """The controller's eye on its run; ``None`` in workers, and where nothing was to be seen so far."""
    controller = config.pluginmanager.get_plugin(_NAME)
    assert controller is None or isinstance(controller, Controller)
    return controller


# ---- what xdist carries ----------------------------------------------------------------------------------


def hand_out(node: WorkerController) -> None:
    """In the controller: give the settings to a worker that is about to start."""
    settings = node.config.stash[SETTINGS]._replace(workers=_workers_beside(node))
    node.workerinput[WORKER_INPUT] = settings.to_wire()
    attend(node.config).workers.append(node)


def handed_over(node: WorkerController) -> None:
    """In the controller: the worker has its settings, and the key in them need not lie about here."""
    node.workerinput.pop(WORKER_INPUT, None)


def handed_out(config: pytest.Config) -> Mapping[str, Any]:
    """In a worker: the settings, from the controller; once, so that the key does not lie about."""
    settings: Mapping[str, Any] = _from_controller(config).pop(WORKER_INPUT)
    return settings


def report_place(config: pytest.Config) -> None:
    """In a worker: tell the controller, which may be on another host, where there were sessions, if any."""
    settings = config.stash[SETTINGS]
    used = run_directory.exists(settings.run_id, settings.temp_directory)
    place = run_directory.place(settings.temp_directory) if used else None
    _to_controller(config)[WORKER_OUTPUT] = place


def report_kept(config: pytest.Config, kept: list[tuple[str, str]]) -> None:
    """In a worker: tell the controller which sessions are left to the user, each with what for."""
    _to_controller(config)[WORKER_KEPT] = kept


def _from_controller(config: pytest.Config) -> dict[str, Any]:
    values: dict[str, Any] = config.workerinput  # type: ignore[attr-defined]  # xdist's
    return values


def _to_controller(config: pytest.Config) -> dict[str, Any]:
    values: dict[str, Any] = config.workeroutput  # type: ignore[attr-defined]  # xdist's
    return values


def _workers_beside(node: WorkerController) -> int:
    """How many workers share a run's directory with ``node``, itself included: those started as it is."""

    def place(spec: Any) -> tuple[object, ...]:
        return spec.popen, spec.ssh, spec.socket, spec.vagrant_ssh, str(spec.env)

    return sum(place(spec) == place(node.gateway.spec) for spec in node.nodemanager.specs)


class Controller:
    """A plugin of the controller."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        #: The workers that xdist has started.
        self.workers: list[WorkerController] = []
        self._member: Member | None = None
        #: Whether the run is known to have used sessions on this host.
        self.used = False
        #: Whether somebody has removed the run's directory on this host, with all that was to tell.
        self.removed = False
        self._pid = real.pid()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Look whether a worker, or a test in a process of its own, has used sessions by now."""
        if report.when != "call":
            self.look()

    def look(self) -> bool:
        """Become a member of the run once it has used sessions; return whether its directory was removed.

        The keeper leaves, and takes along what there is to report, when no member has lived for a while:
        after the last worker that uses sessions, or the last forked test, or while fixtures that are wider
        than ours are torn down.
        """
        run_id, temp = self._settings.run_id, self._settings.temp_directory
        if self._member is not None and self._pid == real.pid() and self._member.lost():
            self.removed = self.removed or self._member.removed()
            self.leave()
        if self._member is None and run_directory.exists(run_id, temp):
            from pytest_agb.run import members, one_per_host  # the run uses sessions: only then does it pay

            self.used = True
            with suppress(OSError):  # the disk is full or read-only, say, which the end of the run tells
                self._member = one_per_host.join(run_id, members.Role.REPORTER, temp)
        return self.removed

    def elsewhere(self) -> bool:
        """Whether a worker had sessions that this host knows nothing of. Ask when the workers have ended."""
        places = {output.get(WORKER_OUTPUT) for output in self._outputs()} - {None}
        return bool(places) and not places <= {run_directory.place(self._settings.temp_directory)}

    def kept(self) -> dict[str, str]:
        """The sessions that workers have left to the user, each with what for. Ask when they have ended."""
        return {session: why for output in self._outputs() for session, why in output.get(WORKER_KEPT, ())}

    def _outputs(self) -> list[dict[str, Any]]:
        # Not all ends of workers reach `pytest_testnodedown`. One that crashed says nothing.
        return [getattr(worker, "workeroutput", {}) for worker in self.workers]

    def leave(self) -> None:
        """End the membership; a test's forked child that gets here has none to end."""
        if self._member is not None and self._pid == real.pid():
            self._member.leave()
            self._member = None
