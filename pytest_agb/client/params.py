"""What a session is to be like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pytest_agb import labels as label_rules

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds without a call after which the service releases a session. Its own default is documented as
#: 5 minutes, as 30 minutes, and as "set in the console", so every create names one.
DEFAULT_IDLE_RELEASE_TIMEOUT_SECONDS = 300


@dataclass(frozen=True)
class CreateSessionParams:
    """Parameters of a new session, named as in the guide and the official SDK."""

    image_id: str
    labels: Mapping[str, str] | None = None
    #: Whole seconds.
    idle_release_timeout: int | None = DEFAULT_IDLE_RELEASE_TIMEOUT_SECONDS
    policy_id: str | None = None

    def invalid(self) -> str | None:
        """Say why no session can be made of these, or return ``None`` if one can."""
        if not isinstance(self.image_id, str) or not self.image_id.strip():
            return f"image_id must name an image such as 'agb-code-space-1', not {self.image_id!r}"
        timeout = self.idle_release_timeout
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, int) or timeout < 1):
            return f"idle_release_timeout must be whole seconds, at least 1, not {timeout!r}"
        if self.policy_id is not None and not isinstance(self.policy_id, str):
            return f"policy_id must be a string, not {self.policy_id!r}"
        if self.labels is None or self.labels == {}:
            return None
        return label_rules.invalid(self.labels) or label_rules.refused(self.labels)

    @property
    def idle_timeout_seconds(self) -> int:
        """The idle timeout that is sent."""
        return self.idle_release_timeout or DEFAULT_IDLE_RELEASE_TIMEOUT_SECONDS
