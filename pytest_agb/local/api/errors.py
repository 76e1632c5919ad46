"""How each error is told: by which HTTP status and code."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from pytest_agb.local.api.reply import Reply, failure
from pytest_agb.local.api.request import BadRequestError
from pytest_agb.local.contexts.files import ContextFileError, ContextFileNotFoundError
from pytest_agb.local.contexts.policy import PolicyError
from pytest_agb.local.contexts.store import ContextNameError, ContextNotFoundError
from pytest_agb.local.contexts.sync import NotBoundError
from pytest_agb.local.sessions import registry
from pytest_agb.local.sessions.sandbox import SandboxError
from pytest_agb.local.sessions.sandbox_files import SandboxFileError
from pytest_agb.local.sessions.tool_schemas import ArgumentError

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

#: The errors whose messages are for the caller. The most derived class of an error counts.
REFUSALS: dict[type[Exception], tuple[int, str]] = {
    BadRequestError: (400, "InvalidParameter"),
    PolicyError: (400, "InvalidParameter"),
    ArgumentError: (400, "InvalidParameter"),
    registry.SessionNotFoundError: (400, "InvalidMcpSession.NotFound"),
    registry.QuotaError: (429, "QuotaExceeded"),
    registry.ImageNotFoundError: (400, "InvalidImage.NotFound"),
    registry.ImageNotHereError: (400, "NotSupported"),
    NotBoundError: (400, "InvalidContext.NotBound"),
    ContextNotFoundError: (400, "InvalidContext.NotFound"),
    ContextNameError: (400, "InvalidContextName"),
    ContextFileNotFoundError: (400, "InvalidContextFile.NotFound"),
    ContextFileError: (400, "InvalidContextFile"),
    SandboxError: (503, "SandboxFailed"),
    SandboxFileError: (503, "SandboxFailed"),
}


def told(error: Exception) -> Reply:
    """Return the answer that tells of an error; of one that nobody foresaw, too."""
    for kind in type(error).__mro__:
        if kind in REFUSALS:
            return failure(*REFUSALS[kind], str(error))
    return failure(500, "InternalError", f"The local backend failed: {type(error).__name__}: {error}")


async def on_refusal(request: Request, error: Exception) -> Response:
    """Answer a request that is refused."""
    return told(error).response()


async def on_failure(request: Request, error: Exception) -> Response:
    """Answer a request of which a handler died: uvicorn logs that, and hangs up."""
    reply = told(error)
    reply.headers["connection"] = "close"
    return reply.response()


async def on_unknown_path(request: Request, error: Exception) -> Response:
    """Answer a request for what is not there."""
    path = request.url.path
    return failure(404, "InvalidAction.NotFound", f"There is no {path} on the local backend.").response()


async def on_wrong_method(request: Request, error: Exception) -> Response:
    """Answer a request by a method that the path does not have."""
    assert isinstance(error, HTTPException)
    allowed = (error.headers or {})["Allow"]
    return failure(405, "InvalidMethod", f"{request.url.path} is called with {allowed}.").response()
