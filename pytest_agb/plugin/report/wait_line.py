"""A test that waits for a session says so."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pytest_agb import real
from pytest_agb.plugin import controller
from pytest_agb.plugin.pytest_internals import uncaptured

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    import pytest

#: Seconds of waiting after which it is shown: a create takes some by itself.
_QUIET_SECONDS = 5.0


class WaitLine:
    """The waiting of one test: a line on the terminal, or with xdist a section of the test's report."""

    def __init__(self, config: pytest.Config, item: pytest.Item | None, scope_id: str) -> None:
        """Without an ``item`` the node ID of the scope has to do."""
        self._config = config
        self._item = item
        self._why = ""
        #: The node ID of what waits.
        self.test = item.nodeid if item is not None else scope_id

    def __enter__(self) -> Self:
        self._began = real.boot_seconds()
        self._shown = self._alarmed = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        seconds = real.boot_seconds() - self._began
        if self._item is not None and self._why and seconds >= _QUIET_SECONDS:
            self._item.add_report_section(
                "setup", "agb", f"waited {seconds:.1f} s for a session: {self._why}"
            )

    def show(self, seconds: float, why: str, alarming: bool) -> None:
        """Show that the test has waited for ``seconds``, and ``why``; at once where that is ``alarming``."""
        self._why = why
        if self._alarmed if alarming else self._shown or seconds < _QUIET_SECONDS:
            return
        self._shown, self._alarmed = True, alarming
        line = f"agb: {self.test} waits for a session: {why}"
        reporter: pytest.TerminalReporter | None
        reporter = self._config.pluginmanager.get_plugin("terminalreporter")
        with uncaptured(self._config):
            if controller.is_worker(self._config):
                if alarming:  # of all else that a worker says, people see nothing before its test has ended
                    print(line, file=sys.stderr, flush=True)
            elif reporter is not None:
                reporter.ensure_newline()
                reporter.write_line(line)
