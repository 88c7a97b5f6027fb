"""The process that serves: listens, and runs the WSGI application in threads behind uvicorn. Imports the application.

uvicorn reads and writes all connections in one event loop; the bottle application stays plain WSGI.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import errno
import functools
import ipaddress
import logging
import re
import resource
import socket
from collections.abc import Callable
from typing import Any, cast

import uvicorn

from uws_server import app
from uws_server.asgi.bodies import BodiesFirst
from uws_server.asgi.connection import Connection
from uws_server.asgi.counting import Counting
from uws_server.asgi.longpoll import LongPolling, peer_address
from uws_server.asgi.notifier import Notifier
from uws_server.asgi.patience import Patience
from uws_server.asgi.shortcut import Shortcut
from uws_server.asgi.throttle import Throttle
from uws_server.asgi.types import Application, Scope
from uws_server.asgi.wsgi import WsgiAdapter
from uws_server.config import Config
from uws_server.errors import ConfigurationError
from uws_server.execution.observers import Observer
from uws_server.incoming.callers import address_of
from uws_server.resources import definitions_folder
from uws_server.services import job_keys
from uws_server.services.context import Services

LOG = logging.getLogger(__name__)
_THREADS = 16
_OF_ONE_CLIENT = 8
_BACKLOG = 4096
_MOST_FILES = 1 << 20
_ALL_ADDRESSES = ("0.0.0.0", "::")
_QUICK = re.compile(
    rf"/rest/[^/]+/{job_keys.ADDRESS}(/phase|/executionduration|/destruction|/quote|/owner)?|/health(/live|/ready)?"
)


def serve(config: Config, ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is called with the base URL once connections are accepted."""
    files = _raise_file_limit()
    listener = _listen(config)
    base_url = config.server.base_url.rstrip("/") or _address(listener)
    if listener.getsockname()[0] in _ALL_ADDRESSES and not config.server.base_url:
        LOG.warning(
            "base_url is not set, and host = %s is every address of this machine: answers lead clients to %s; if they "
            "reach the server by another name, or through a proxy, set base_url to the address that they use",
            config.server.host,
            base_url,
        )
    services = Services(config, base_url, config.folders.definitions or definitions_folder())
    notifier = Notifier()
    services.scheduler.observers.add(_Waker(notifier))
    services.start()
    adapter = WsgiAdapter(app.build(services), _THREADS, _is_quick)
    at_once = app.at_once(services)

    try:
        address = functools.partial(_client_address, config)
        throttle = BodiesFirst(Throttle(adapter, address, _OF_ONE_CLIENT, _is_quick))
        polling = LongPolling(
            Shortcut(throttle, at_once), notifier, address=address, asked=Shortcut(adapter, at_once)
        )
        services.metrics.now.waiters = lambda: polling.places.taken
        counting = Counting(polling, services.metrics.count_answer)
        settings = _uvicorn_settings(counting, _patience(config, files))
        # what the start has read and forgotten is given back: 3 MB of those that a server at rest holds
        ctypes.CDLL(None).malloc_trim(0)
        with asyncio.Runner(loop_factory=settings.get_loop_factory()) as runner:
            runner.run(_run(_Server(settings, polling), listener, lambda: ready(base_url)))
    finally:
        adapter.close()
        services.stop()
        listener.close()


class _Waker(Observer):
    """Wakes the clients that wait for a job when it changed, or may have changed."""

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier

    def job_changed(self, job_id: str) -> None:
        self._notifier.notify(job_id)

    def changes_missed(self) -> None:
        self._notifier.notify_all()


def _client_address(config: Config, scope: Scope) -> str:
    """Return the network that a request comes from, its address being that which the application has."""
    if not config.server.proxies:
        return _network(peer_address(scope))
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    return _network(address_of(config, {"REMOTE_ADDR": peer_address(scope), "HTTP_X_FORWARDED_FOR": forwarded}))


def _network(address: str) -> str:
    """Return the address of an IPv4 client, the first 64 bits of that of an IPv6 client, who has all that follow."""
    if ":" not in address:
        return address
    with contextlib.suppress(ValueError):  # what a proxy says need not be an address
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
        return str(parsed.ipv4_mapped or ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
    return address


def _patience(config: Config, files: int) -> Patience:
    """Return the limits of connections: a quarter of the files that may be open is kept for jobs, results, database."""
    proxies = config.server.proxies
    most = files * 3 // 4
    return Patience(
        config.server.request_timeout,
        config.server.least_rate,
        most,
        most // 4,
        lambda address: "" if address in proxies else _network(address),
    )


def _is_quick(scope: Scope) -> bool:
    """Check whether a request asks only for what the database says of one job."""
    return scope["method"] in ("GET", "HEAD") and _QUICK.fullmatch(scope["path"]) is not None


def _uvicorn_settings(application: Application, patience: Patience) -> uvicorn.Config:
    return uvicorn.Config(
        cast(Any, application),  # uvicorn spells the ASGI messages as typed dictionaries of its own
        http=cast(Any, functools.partial(Connection, patience=patience)),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_graceful_shutdown=3,
        ws="none",
        # else uvicorn believes what any client on this machine says its address is
        proxy_headers=False,
    )


class _Server(uvicorn.Server):
    """Answers the clients that wait when it is asked to stop, rather than cutting them off."""

    def __init__(self, settings: uvicorn.Config, polling: LongPolling) -> None:
        super().__init__(settings)
        self._polling = polling

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, finish the requests that were begun, close."""
        self._polling.close()
        await super().shutdown(sockets)


async def _run(server: uvicorn.Server, listener: socket.socket, ready: Callable[[], None]) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        ready()
    await serving


def _listen(config: Config) -> socket.socket:
    family = socket.AF_INET6 if ":" in config.server.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # without it every answer waits 40 ms for the client's acknowledgement of its headers
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    # a client that waits and vanishes without a word (a laptop that sleeps) is noticed after two minutes
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 15)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
    try:
        listener.bind((config.server.host, config.server.port))
    except OSError as error:
        listener.close()
        reason = error.strerror or str(error)
        is_port = error.errno in (errno.EADDRINUSE, errno.EACCES)
        hint = "--port 0 takes a free one" if is_port else "--host is an address of this machine, or 0.0.0.0 for all"
        raise ConfigurationError(
            f"cannot listen on {config.server.host}:{config.server.port}: {reason}; {hint}"
        ) from error
    listener.listen(_BACKLOG)
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in _ALL_ADDRESSES:
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _raise_file_limit() -> int:
    """Raise the limit of open files as far as the system allows, and return it: each client that waits holds one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return _MOST_FILES if hard == resource.RLIM_INFINITY else hard
