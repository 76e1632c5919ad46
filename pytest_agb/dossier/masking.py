"""What must not be shown, and showing the rest."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any

from pytest_agb.secret import SHORTEST_SECRET, Secret

#: What opens something, in the query of a URL.
_IN_URLS = re.compile(r"(?i)([?&](?:auth_?code|[a-z_-]*token|ticket|[a-z_-]*key|signature)=)[^&\s\"'<>]+")
#: Characters of a line that is blotted out without the lines around it.
_SHORTEST_LINE = 12
HIDDEN = "<hidden>"


class Mask:
    """Blots out what it has learned."""

    def __init__(self) -> None:
        #: The longest first, since one may be a part of another; each with what is shown in its place.
        self._secrets: list[tuple[Secret, str]] = []
        #: Hashes of the secrets, to find in no time what is known.
        self._known: set[int] = set()
        self._learning = threading.Lock()

    def learn(self, secret: str, name: str) -> None:
        """Show ``name`` in place of ``secret`` from now on."""
        if len(secret) < SHORTEST_SECRET or hash(secret) in self._known:
            return
        # A text may be cut between the lines of one that has several: a private key, say.
        lines = [line for line in secret.split("\n") if len(line) >= _SHORTEST_LINE]
        # As it is, and as programs print what holds quotes or line breaks.
        forms = {secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], *lines}
        with self._learning:
            new = [(Secret(form), name) for form in forms if hash(form) not in self._known]
            # A list of its own: others may be reading the one that there is.
            self._secrets = sorted(
                self._secrets + new, key=lambda known: len(known[0].reveal()), reverse=True
            )
            self._known.update(map(hash, forms))

    def learn_envs(self, envs: object) -> None:
        """Show the names of environment variables in place of their values."""
        if isinstance(envs, Mapping):
            for name, value in envs.items():
                if hash(value) not in self._known:  # which costs less than what follows
                    self.learn(str(value), f"value of {name}")

    def text(self, text: str) -> str:
        """Mask a text. What cuts it comes after that: half a secret is not found."""
        for secret, name in self._secrets:
            text = text.replace(secret.reveal(), f"[{name}]")
        return _IN_URLS.sub(rf"\g<1>{HIDDEN}", text)

    def value(self, value: Any) -> Any:
        """Mask a JSON value; of ``envs`` it leaves the names."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {
                self.text(str(key)): _names(item) if key == "envs" else self.value(item)
                for key, item in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self.value(item) for item in value]
        return value


def _names(envs: Any) -> Any:
    return dict.fromkeys(map(str, envs), HIDDEN) if isinstance(envs, Mapping) else HIDDEN
