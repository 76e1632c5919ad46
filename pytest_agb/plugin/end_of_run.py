"""In the controller, the end of a run waits until no session is left, and has that reported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb.plugin import controller, options
from pytest_agb.plugin.report.progress_line import ProgressLine
from pytest_agb.plugin.report.summary import SummaryReport
from pytest_agb.plugin.stash import SETTINGS
from pytest_agb.pool.shutdown import drain
from pytest_agb.wording import sessions

if TYPE_CHECKING:
    import pytest

#: Seconds of waiting after which it is shown: most ends take less.
_QUIET_SECONDS = 0.5


def wait(config: pytest.Config, *, elsewhere: bool, used: bool) -> None:
    """Wait for the keepers of the run to delete what is left; ``elsewhere``: of other hosts, too.

    ``used`` says that the run is known to have had sessions on this host.
    """
    settings = config.stash[SETTINGS]
    eye = controller.find(config)
    line = ProgressLine(config, quiet_seconds=_QUIET_SECONDS, once_elsewhere=True)
    try:
        summary = drain(
            settings,
            lambda left: line.show(f"deleting {sessions(left)}"),
            elsewhere=elsewhere,
            used=used,
            removed=eye is not None and eye.removed,
            kept=eye.kept() if eye else {},
        )
    finally:
        if eye is not None:
            eye.leave()
    if summary is not None:
        options.remember_times(config, settings.backend, summary.times)
        if settings.outlives_run:
            options.remember_level(config, settings.level, summary.level)
        config.pluginmanager.register(SummaryReport(summary, settings), "agb-summary")
