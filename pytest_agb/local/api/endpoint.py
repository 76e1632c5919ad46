"""What the router calls, made of a handler that takes a `Call` and returns a `Reply`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Route

from pytest_agb.local.api.request import Call

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from pytest_agb.local.api.reply import Reply


def route(method: str, path: str, handler: Callable[[Call], Awaitable[Reply]]) -> Route:
    """Return the route by which ``method`` on ``path`` comes to ``handler``."""

    async def endpoint(request: Request) -> Response:
        return (await handler(await Call.read(request))).response()

    return Route(path, endpoint, methods=[method])
