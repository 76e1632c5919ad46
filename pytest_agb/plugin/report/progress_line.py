"""A line that says how far something is: rewritten on a terminal, since only there a line can be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_agb import real

if TYPE_CHECKING:
    import pytest


class ProgressLine:
    """One such line; nothing where there is no terminal reporter."""

    def __init__(
        self, config: pytest.Config, *, quiet_seconds: float = 0.0, once_elsewhere: bool = False
    ) -> None:
        """Show nothing for ``quiet_seconds``; ``once_elsewhere`` shows once what is not on a terminal."""
        self._reporter: pytest.TerminalReporter | None
        self._reporter = config.pluginmanager.get_plugin("terminalreporter")
        self._once_elsewhere = once_elsewhere
        self._quiet_until = real.boot_seconds() + quiet_seconds
        self._shown = ""

    def show(self, text: str) -> None:
        """Show how far it is now."""
        if self._reporter is None or real.boot_seconds() < self._quiet_until or text == self._shown:
            return
        if self._reporter.isatty:
            self._reporter.rewrite(f"agb: {text} ", erase=True)
        elif self._once_elsewhere and not self._shown:
            self._reporter.ensure_newline()
            self._reporter.write_line(f"agb: {text}")
        self._shown = text

    def end(self, *lines: str) -> None:
        """Put ``lines`` in its place, which stay."""
        if self._reporter is None:
            return
        if self._shown and self._reporter.isatty:
            self._reporter.rewrite("", erase=True)
        self._shown = ""
        for line in lines:
            self._reporter.write_line(f"agb: {line}")
