"""Sandbox sessions of the AGB cloud as pytest fixtures.

The names below are public, and loaded on first use: every pytest run in the user's environment imports this
package, and must not pay for httpx.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_agb.client import (
        AGB,
        AGBError,
        AGBTimeoutError,
        AuthenticationError,
        BudgetError,
        Call,
        ClientSettings,
        CodeExecutionResult,
        CommandFailed,
        CommandResult,
        CreateSessionParams,
        ExecutionError,
        ImageNotFoundError,
        InvalidRequestError,
        MissingKeyError,
        NotFoundError,
        PermissionDeniedError,
        ProtocolError,
        QuotaError,
        RefusedError,
        Result,
        RetrySettings,
        Session,
        SessionGoneError,
        SessionLostError,
        SessionResult,
        ThrottledError,
        ToolError,
        UnansweredError,
        UnavailableError,
    )
    from pytest_agb.plugin.leasing import SessionFactory

    __version__: str

__all__ = [
    "AGB",
    "AGBError",
    "AGBTimeoutError",
    "AuthenticationError",
    "BudgetError",
    "Call",
    "ClientSettings",
    "CodeExecutionResult",
    "CommandFailed",
    "CommandResult",
    "CreateSessionParams",
    "ExecutionError",
    "ImageNotFoundError",
    "InvalidRequestError",
    "MissingKeyError",
    "NotFoundError",
    "PermissionDeniedError",
    "ProtocolError",
    "QuotaError",
    "RefusedError",
    "Result",
    "RetrySettings",
    "Session",
    "SessionFactory",
    "SessionGoneError",
    "SessionLostError",
    "SessionResult",
    "ThrottledError",
    "ToolError",
    "UnansweredError",
    "UnavailableError",
    "__version__",
]


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import PackageNotFoundError, version  # slower than all the rest here

        value: object
        try:
            value = version("pytest-agb")
        except PackageNotFoundError:  # run from a source tree that is not installed
            value = "0+unknown"
    elif name == "SessionFactory":
        from pytest_agb.plugin.leasing import SessionFactory

        value = SessionFactory
    elif name in __all__:
        from pytest_agb import client  # brings httpx

        value = getattr(client, name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
