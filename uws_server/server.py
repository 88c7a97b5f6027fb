"""The process that serves: listens, runs the WSGI application in threads behind uvicorn. Imports the application.

uvicorn reads and writes all connections in one event loop; the bottle application stays plain WSGI.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import socket
from collections.abc import Callable
from typing import Any, cast

import uvicorn
from a2wsgi import WSGIMiddleware

from uws_server import app
from uws_server.config import Config
from uws_server.errors import ConfigurationError
from uws_server.protocol.parking import Bell, Front
from uws_server.resources import definitions_folder
from uws_server.services import Services

LOG = logging.getLogger(__name__)
_THREADS = 16
_BACKLOG = 4096


def serve(config: Config, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the base URL once connections are accepted."""
    _raise_file_limit()
    listener = _listen(config)
    base_url = config.base_url.rstrip("/") or _address(listener)
    services = Services(config, base_url, config.definitions or definitions_folder())
    bell = Bell()
    services.scheduler.on_change = bell.ring
    services.start()
    try:
        # a2wsgi and uvicorn spell the ASGI messages as typed dictionaries, each its own
        front = Front(cast(Any, WSGIMiddleware(app.build(services), workers=_THREADS)), bell)
        settings = _uvicorn_settings(front)
        with asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner:
            runner.run(_run(settings, listener, lambda: ready(base_url)))
    finally:
        services.stop()
        listener.close()


def _uvicorn_settings(front: Front) -> uvicorn.Config:
    return uvicorn.Config(
        cast(Any, front),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=3,
    )


async def _run(settings: uvicorn.Config, listener: socket.socket, ready: Callable[[], None]) -> None:
    server = uvicorn.Server(settings)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        ready()
    await serving


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # without it every answer waits 40 ms for the client's acknowledgement of its headers
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((config.host, config.port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"cannot listen on {config.host}:{config.port}: {reason}; --port 0 takes a free one"
        ) from error
    listener.listen(_BACKLOG)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_file_limit() -> None:
    """Each client that waits holds a socket: take as many as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
