"""What a job of the agent's is, and what it may ask of the loop that it runs in: types, for jobs anywhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Callable


class Job(Protocol):
    """A call that takes time, or a look that is taken again and again."""

    def on_exit(self, pid: int, status: int) -> bool:
        """Take note that ``pid`` ended; return whether it was this job's."""

    def tick(self, now: float) -> float | None:
        """Do what is due; return when to be called again, on `time.monotonic`'s clock."""


class Loop(Protocol):
    """The agent, as its jobs see it."""

    def watch(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Have ``callback`` called whenever ``descriptor`` can be read."""

    def watch_writable(self, descriptor: int, callback: Callable[[], object]) -> None:
        """Have ``callback`` called whenever ``descriptor`` can be written to."""

    def unwatch(self, descriptor: int) -> None:
        """Stop watching; not watched is fine."""

    def reply(self, call: int, ok: bool, text: str) -> None:
        """Answer a call."""

    def event(self, call: int, event: dict[str, Any]) -> None:
        """Tell of something on the way to a call's answer."""

    def finished(self, job: Job) -> None:
        """Forget a job."""

    def starting(self) -> contextlib.AbstractContextManager[None]:
        """Whatever is started meanwhile goes before the agent where memory is short."""

    def look_for_victims(self) -> None:
        """Where the kernel has killed a process for want of memory, kill the others too."""

    def kill_all(self, reason: str) -> None:
        """Kill everything that runs here; what dies of it is told ``reason`` by `why_killed`."""

    def why_killed(self, since: float, status: int) -> str:
        """Return why `kill_all` has ended what started at ``since`` and ended with ``status``, or ``""``."""
