"""Every duration and bound of the client, with its unit, meaning and default."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class RetrySettings:
    """How often, and how long apart, a call that may be repeated is repeated."""

    #: Requests sent at most, the first one included.
    attempts: int = 4
    #: The longest wait before the first repetition; each next one may be twice as long. The wait itself
    #: is drawn between half of that and all of it, so that many workers don't come back at once.
    base_seconds: float = 0.2
    #: No computed wait is longer.
    cap_seconds: float = 5.0
    #: A longer `Retry-After` is not believed.
    retry_after_cap_seconds: float = 30.0


@dataclass(frozen=True)
class ClientSettings:
    """What the client does beyond key, endpoint and timeout, which :mod:`pytest_agb.environment` reads."""

    retry: RetrySettings = field(default_factory=RetrySettings)
    #: Opening a connection may take this long (never more than the call's own timeout).
    connect_timeout_seconds: float = 15.0
    #: An idle connection is kept this long. httpx keeps 5 s, less than many tests take; Azure, and with it
    #: GitHub's hosted runners, forgets idle connections without a word after 240 s.
    keepalive_expiry_seconds: float = 200.0
    #: Connections at most, which is calls in flight at most.
    max_connections: int = 128
    #: An answer may have this many bytes, once it is decompressed, and a message of a stream as well.
    answer_bytes: int = 64 << 20
    #: A tool's HTTP call may outlast the tool's own timeout by this much.
    tool_margin_seconds: float = 15.0
    #: A release answered "accepted" must be over within this time. The SDK waits 300 s.
    delete_timeout_seconds: float = 120.0
    #: First, and longest, wait between two looks at a session that is being released.
    delete_poll_first_seconds: float = 0.05
    delete_poll_longest_seconds: float = 1.0
