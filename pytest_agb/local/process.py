"""The server's process: from a socket and a fork server to the first answer, and to a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
import signal
import socket
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pytest_agb.local import background
from pytest_agb.local.limits.rlimits import Limits
from pytest_agb.local.sessions.registry import Sessions
from pytest_agb.local.sessions.rules import SessionRules
from pytest_agb.local.sessions.sandbox import ForkServerHandle

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pytest_agb.local.contexts.store import ContextStore
    from pytest_agb.removal import Left
    from pytest_agb.secret import Secret

logger = logging.getLogger("pytest_agb.local")


def _say_what_is_left(directory: Path, left: Left) -> None:
    print(f"pytest-agb: {directory} could not be removed: {left}", file=sys.stderr, flush=True)


#: Seconds between two looks at `keep_running`.
_WATCH_SECONDS = 0.25
#: Seconds that a client may leave its connection unused. uvicorn's 5 would break those of slow tests.
_KEEP_ALIVE_SECONDS = 3600


_NO_PORTS = (
    "Landlock keeps it from TCP, and it has no network of its own; give it the machine's ({remedy}), or use "
    "a machine that allows namespaces"
)


class ServerError(RuntimeError):
    """The server can't run; the message has cause and remedy."""


@dataclass(frozen=True)
class ServerConfig:
    """What a server is told, once."""

    #: The bearer key that every request must carry.
    api_key: Secret
    #: ``namespaces``, ``landlock`` or ``none``: what `isolation.choose` returned.
    isolation: str
    #: An existing directory that is the server's own. Without namespaces the sessions' files are in it.
    data_directory: Path
    #: ``none``, or ``host`` for this machine's. Without isolation it is always the machine's.
    network: str = "none"
    #: How whoever starts the server asks for ``host``, in its own words.
    host_network_remedy: str = "network='host'"
    #: Whether the directory goes when the server does, however that ends.
    remove_directory: bool = False
    #: Gets each directory of a session that could not be removed, and of it what the system refused first.
    on_left: Callable[[Path, Left], None] = _say_what_is_left
    #: What each sandbox may use.
    limits: Limits = field(default_factory=Limits)
    #: Where contexts are kept, which outlive the server there. Without it they are in the data directory.
    contexts_directory: Path | None = None
    #: Whether sessions have a ``linkUrl``, by which the SDK then calls their tools.
    link_route: bool = False
    host: str = "127.0.0.1"
    #: 0: any free one.
    port: int = 0
    rules: SessionRules = field(default_factory=SessionRules)
    #: Requests a second that are answered; what is beyond is refused. ``None``: all are.
    requests_per_second: float | None = None


def serve(
    config: ServerConfig,
    *,
    on_ready: Callable[[str], None],
    keep_running: Callable[[], bool] | None = None,
) -> None:
    """Serve until SIGTERM, SIGINT or SIGHUP comes or ``keep_running()`` is false; then end every sandbox.

    Call it in the main thread. ``on_ready`` gets the base URL once requests are answered.

    Raises:
        ServerError: the port is taken, the extra ``local`` is not installed, the contexts' directory can't
            be used, or the fork server died.
    """
    try:
        import starlette.requests  # noqa: F401
        import uvicorn  # noqa: F401
        import websockets  # noqa: F401

        if importlib.util.find_spec("jinja2") is None:  # imported when somebody looks at a page
            raise ImportError("No module named 'jinja2'")
    except ImportError as error:
        raise ServerError(
            f"the local backend needs starlette, uvicorn, websockets and jinja2 ({error}): "
            f"pip install 'pytest-agb[local]'"
        ) from error
    listener = _listen(config)
    with contextlib.closing(listener), contextlib.closing(_contexts(config)) as contexts:
        fork_server = ForkServerHandle(
            config.isolation,
            config.data_directory,
            network=config.network,
            remove_directory=config.remove_directory,
            limits=config.limits,
            on_left=config.on_left,
        )
        with contextlib.closing(fork_server):
            asyncio.run(_serve(config, listener, contexts, fork_server, on_ready, keep_running))


def _contexts(config: ServerConfig) -> ContextStore:
    from pytest_agb.local.contexts.store import ContextsError, ContextStore

    try:
        return ContextStore(config.contexts_directory or config.data_directory / "contexts")
    except ContextsError as error:
        raise ServerError(str(error)) from error


def _listen(config: ServerConfig) -> socket.socket:
    # The protocol is named because asyncio sets TCP_NODELAY only where it is: 44 ms a call without.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((config.host, config.port))
        listener.listen(1024)
    except (OSError, OverflowError) as error:
        listener.close()
        raise ServerError(
            f"can't listen on {config.host}:{config.port} ({getattr(error, 'strerror', error)}); "
            f"give another --port, or none for any free one"
        ) from error
    return listener


async def _serve(
    config: ServerConfig,
    listener: socket.socket,
    contexts: ContextStore,
    fork_server: ForkServerHandle,
    on_ready: Callable[[str], None],
    keep_running: Callable[[], bool] | None,
) -> None:
    import uvicorn

    from pytest_agb.local.api import app
    from pytest_agb.local.api.request import MAX_BODY_BYTES
    from pytest_agb.local.api.throttle import Throttle

    class Server(uvicorn.Server):
        """uvicorn's, without its signal handlers: the sandboxes must end first."""

        def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
            return contextlib.nullcontext()

    fork_server.attach()
    sessions = Sessions(fork_server, config.rules)
    throttle = Throttle(config.requests_per_second) if config.requests_per_second else None
    server = Server(
        uvicorn.Config(
            app.make(
                sessions, contexts, config.api_key, throttle=throttle, link_route=config.link_route,
                no_ports=_NO_PORTS.format(remedy=config.host_network_remedy)
                if (config.isolation, config.network) == ("landlock", "none") else "",
            ),
            log_config=None, access_log=False, lifespan="off", loop="asyncio", interface="asgi3",
            # No pings: whoever stands in a debugger inside of a callback answers none, and is not gone.
            ws="websockets-sansio", ws_ping_interval=None, ws_max_size=MAX_BODY_BYTES,
            ws_per_message_deflate=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS, timeout_graceful_shutdown=2, server_header=False,
        )
    )  # fmt: skip
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve([listener]))
    chores = [
        background.watch(asyncio.create_task(sessions.reap_forever(), name="release of expired sessions")),
        background.watch(asyncio.create_task(contexts.recycle_forever(), name="recycling of contexts")),
    ]
    try:
        while not server.started and not serving.done():
            await asyncio.sleep(0.001)
        if server.started:
            on_ready(f"http://{config.host}:{listener.getsockname()[1]}")
        while not stop.is_set() and not serving.done() and (keep_running is None or keep_running()):
            if not fork_server.alive:
                raise ServerError("the fork server died, and all sandboxes with it; start the server anew")
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(stop.wait(), _WATCH_SECONDS)
    finally:
        for chore in chores:
            chore.cancel()
        await sessions.release_all()
        server.should_exit = True
        await serving
