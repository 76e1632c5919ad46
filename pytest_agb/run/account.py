"""Whose sessions a run's directory speaks of: recorded without the key, and left alone by other accounts."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_agb.settings import Settings

_FILE = "account.json"


def record(run: Path, settings: Settings) -> None:
    """Record host, endpoint and a salted fingerprint of the key, if that is not done yet."""
    path = run / _FILE
    if path.exists():
        return
    salt = secrets.token_hex(16)
    said = {
        "host": os.uname().nodename,
        "endpoint": settings.endpoint,
        "salt": salt,
        "key_fingerprint": _fingerprint(settings, salt),
    }
    part = path.with_suffix(f".part-{salt}")
    part.write_text(json.dumps(said))  # a disk that is full takes half of it
    part.rename(path)


def same(run: Path, settings: Settings) -> bool:
    """Whether the run's sessions were created on this host, under this endpoint and key."""
    try:
        recorded = json.loads((run / _FILE).read_text())
        return bool(
            recorded["host"] == os.uname().nodename
            and recorded["endpoint"] == settings.endpoint
            and recorded["key_fingerprint"] == _fingerprint(settings, recorded["salt"])
        )
    except (OSError, ValueError, TypeError, KeyError):
        return False  # it died before it had a session, or is not ours to understand


def _fingerprint(settings: Settings, salt: str) -> str:
    key = (settings.api_key.reveal() if settings.api_key else "").encode()
    return hashlib.scrypt(key, salt=bytes.fromhex(salt), n=2**12, r=8, p=1).hex()
