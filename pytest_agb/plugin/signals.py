"""SIGTERM and SIGHUP end a run as Ctrl-C does, so that its fixtures are torn down.

pytest itself handles neither (a CI system's cancel, a closed terminal).
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from signal import SIG_DFL, SIGHUP, SIGTERM, Signals, getsignal
from signal import signal as set_handler  # tests patch `signal.signal`
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


@contextmanager
def as_interrupts() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for these signals, where the default action stood: ``nohup`` keeps working.

    Does nothing outside the main thread, which alone may set handlers.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in (SIGTERM, SIGHUP) if getsignal(number) is SIG_DFL]
    for number in ours:
        set_handler(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            if getsignal(number) is _interrupt:
                set_handler(number, SIG_DFL)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt(Signals(number).name)
