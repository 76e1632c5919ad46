"""Tasks of the event loop that nobody waits for: kept until they end, and not silently."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

logger = logging.getLogger("pytest_agb.local")

_Task = TypeVar("_Task", bound=asyncio.Task[Any])

#: asyncio itself refers to tasks weakly.
_running: set[asyncio.Task[Any]] = set()


def watch(task: _Task) -> _Task:
    """Keep a task until it ends, and log what it dies of, under its name. Returns the task."""
    _running.add(task)
    task.add_done_callback(_ended)
    return task


def _ended(task: asyncio.Task[Any]) -> None:
    _running.discard(task)
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.error("%s: died of %s", task.get_name(), type(error).__name__, exc_info=error)


async def repeat(work: Callable[[], Awaitable[None]], interval_seconds: float, what: str) -> None:
    """Do ``work`` again and again until cancelled. What it fails of is logged, and does not end it.

    ``what`` names it in the log, where a failure stands once as long as it stays the same.
    """
    logged = ""
    while True:
        try:
            await work()
            logged = ""
        except Exception as error:
            if repr(error) != logged:
                logged = repr(error)
                logger.error("%s: failed, tried again every %g s", what, interval_seconds, exc_info=error)
        await asyncio.sleep(interval_seconds)
