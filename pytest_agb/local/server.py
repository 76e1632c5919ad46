"""The door of the local server: all that the rest of the package uses of it, loaded on first use.

Importing this costs nothing; what a name needs comes with the name: a look at the machine's isolation
brings no server, and only `serve` brings starlette and uvicorn.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_agb.local.isolation.choose import IsolationUnavailable, choose, notice
    from pytest_agb.local.launch.launcher import languages
    from pytest_agb.local.process import ServerConfig, ServerError, serve
    from pytest_agb.local.sessions.rules import SessionRules

__all__ = [
    "IsolationUnavailable",
    "ServerConfig",
    "ServerError",
    "SessionRules",
    "choose",
    "languages",
    "notice",
    "serve",
]

_MODULES = {
    "IsolationUnavailable": "isolation.choose",
    "ServerConfig": "process",
    "ServerError": "process",
    "SessionRules": "sessions.rules",
    "choose": "isolation.choose",
    "languages": "launch.launcher",
    "notice": "isolation.choose",
    "serve": "process",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(f"pytest_agb.local.{_MODULES[name]}"), name)
    globals()[name] = value
    return value
