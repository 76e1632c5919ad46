"""How long sessions live, and how many there may be."""

from __future__ import annotations

from typing import NamedTuple


class SessionRules(NamedTuple):
    """The defaults are the service's, as far as it documents them."""

    # No dataclass: `pytest-agb --help` shows the defaults, and `dataclasses` would take it 10 ms.

    #: Idle time after which a session is released if its creator named none, in seconds (docs/session/
    #: lifecycle.md of the SDK; its README says 30 minutes).
    default_idle_seconds: float = 300.0
    #: Age at which a session is released whatever it does, in seconds (the same page).
    maximum_lifetime_seconds: float = 1800.0
    #: Sessions that there may be at once; ``None``: as many as the machine bears.
    maximum_sessions: int | None = None
    #: Seconds from an accepted release to the session's end. 0: it has ended when the answer goes out.
    release_seconds: float = 0.0
    #: Whether browser, desktop and phone images are taken, too: as code sandboxes that have none of these.
    all_images: bool = False
