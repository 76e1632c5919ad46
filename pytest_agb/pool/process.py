"""What belongs to one process of a run: its membership, its view of the slots, its HTTP client."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import threading
from typing import TYPE_CHECKING

from filelock import FileLock

from pytest_agb import rundir
from pytest_agb.client import AGB, AGBError, MissingKeyError
from pytest_agb.pool import members, server_process
from pytest_agb.pool.slots import Slot, SlotTable, lay_schema
from pytest_agb.settings import CLOUD, Settings

if TYPE_CHECKING:
    from pathlib import Path


class Process:
    """This process, as a member of the run."""

    def __init__(self, settings: Settings) -> None:
        """Join the run; the first on this host makes its directory."""
        self.pid = os.getpid()
        self._settings = settings
        self._client: tuple[str, AGB] | None = None
        self._connecting = threading.Lock()
        with server_process.joining_lock():
            self._run = rundir.path(settings.run_id)
            self._run.mkdir(mode=0o700, exist_ok=True)
            self.member = members.Member(self._run / "members", "pytest")
        with FileLock(self._run / "slots.lock"):
            lay_schema(self._run / "slots.sqlite3")
            _record_account(self._run / "account.json", settings)
        self.slots = SlotTable(self._run / "slots.sqlite3")

    def endpoint(self) -> str:
        """Where the backend is. The local server is started if it is not there, or not there any more.

        Raises:
            AGBError: the local server can't be had.
        """
        if self._settings.backend == CLOUD:
            return self._settings.endpoint
        assert self._settings.api_key is not None
        try:
            return server_process.ensure(
                self._run, api_key=self._settings.api_key, isolation=self._settings.local_isolation
            )
        except server_process.LocalServerError as error:
            raise AGBError(str(error)) from error

    def client(self) -> AGB:
        """The one client of this process.

        Raises:
            AGBError: there is no key, or the local server can't be had.
        """
        with self._connecting:
            endpoint = self.endpoint()
            if self._client is None or self._client[0] != endpoint:
                if self._settings.api_key is None:
                    raise MissingKeyError(
                        "there is no API key",
                        hint="set AGB_API_KEY, or use --agb-backend=local for local sandboxes",
                    )
                client = AGB(self._settings.api_key, endpoint, self._settings.timeout_seconds)
                self._client = (endpoint, client)
            return self._client[1]

    def orphaned_slots(self) -> list[Slot]:
        """The slots that may have a session, of this process and of processes that died."""
        mine = self.member.name
        return [slot for slot in self.slots.left() if slot.member == mine or not self._lives(slot.member)]

    def leave(self) -> None:
        """Close everything and leave the run."""
        if self._client is not None:
            self._client[1].close()
        self.slots.close()
        self.member.leave()

    def _lives(self, member: str) -> bool:
        try:
            return members.is_locked(self._run / "members" / member)
        except FileNotFoundError:
            return False


def _record_account(path: Path, settings: Settings) -> None:
    """Record whose sessions these are: a salted fingerprint tells two accounts apart, nothing else."""
    if path.exists():
        return
    salt = secrets.token_hex(16)
    fingerprint = hashlib.scrypt(
        (settings.api_key or "").encode(), salt=bytes.fromhex(salt), n=2**12, r=8, p=1
    )
    path.write_text(
        json.dumps(
            {
                "host": os.uname().nodename,
                "endpoint": settings.endpoint,
                "salt": salt,
                "key_fingerprint": fingerprint.hex(),
            }
        )
    )
