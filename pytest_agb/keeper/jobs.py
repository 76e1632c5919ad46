"""Calls to the service, made by threads; what comes of them is dealt with by the thread that asked."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

Result = TypeVar("Result")


class Jobs:
    """Calls under way. All but the calls themselves happens in one thread, so nothing else needs a lock."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._finished: queue.SimpleQueue[tuple[Future[Any], Callable[[Any], None]]] = queue.SimpleQueue()
        #: How many have not been dealt with.
        self.pending = 0

    def start(self, call: Callable[[], Result], then: Callable[[Result], None]) -> None:
        """Have ``call`` made by a thread, and ``then`` called with what it returned by :meth:`finish`."""
        self.pending += 1
        future = self._executor.submit(call)
        future.add_done_callback(lambda done: self._finished.put((done, then)))

    def finish(self, wait_seconds: float = 0.0) -> bool:
        """Deal with what has finished; wait for the first if there is none yet. False if none came.

        Raises:
            BaseException: what a call raised; calls return what they expect to fail.
        """
        some = False
        while True:
            try:
                wait = 0.0 if some else wait_seconds
                future, then = self._finished.get(block=wait > 0, timeout=wait or None)
            except queue.Empty:
                return some
            some = True
            self.pending -= 1
            then(future.result())

    def close(self) -> None:
        """Wait for the calls under way, and drop what comes of them."""
        self._executor.shutdown()
