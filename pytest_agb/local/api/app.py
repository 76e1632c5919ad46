"""The HTTP face: which path leads where, and which need the key.

What each answer must hold is what agbcloud-sdk 0.12 reads; see the comments where that surprises.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route, Router, WebSocketRoute

from pytest_agb.local.api import (
    context_routes,
    errors,
    link_routes,
    page,
    session_routes,
    signed_urls,
    websocket,
)
from pytest_agb.local.api.gate import Gate

if TYPE_CHECKING:
    from pytest_agb.local.api.throttle import Throttle
    from pytest_agb.local.contexts.store import ContextStore
    from pytest_agb.local.sessions.registry import Sessions
    from pytest_agb.secret import Secret

#: Of paths that say themselves what they are not called with.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def make(
    live: Sessions,
    contexts: ContextStore,
    api_key: Secret,
    *,
    throttle: Throttle | None = None,
    link_route: bool = False,
    no_ports: str = "",
) -> Starlette:
    """Return the ASGI application. ``no_ports`` says why sessions have none, where they don't."""
    urls = signed_urls.SignedUrls(contexts)
    about_contexts = context_routes.ContextControl(contexts, live, urls)
    about_sessions = session_routes.Control(live, about_contexts.binder, link_route=link_route)
    links = link_routes.LinkControl(live, no_ports)
    with_key = Router(
        [*about_sessions.routes(), *about_contexts.routes(), *links.routes()], redirect_slashes=False
    )
    return Starlette(
        routes=[
            # By a session's own token, or a signature.
            Mount(session_routes.LINK_PATH, Router(links.routes_by_token(), redirect_slashes=False)),
            WebSocketRoute(
                f"{session_routes.STREAM_PATH}{{session_id}}", functools.partial(websocket.serve, live)
            ),
            Route(page.PATH, page.Page(live).answer, methods=_METHODS),
            Route(signed_urls.PATH, urls.answer, methods=_METHODS),
            # All others, those that are not there too.
            Mount("", with_key, middleware=[Middleware(Gate, api_key=api_key, throttle=throttle)]),
        ],
        exception_handlers={
            404: errors.on_unknown_path,
            405: errors.on_wrong_method,
            Exception: errors.on_failure,
            **dict.fromkeys(errors.REFUSALS, errors.on_refusal),
        },
    )
