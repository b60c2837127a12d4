"""Serves the app inside the daemon's event loop: uvicorn without its signal handlers, on a socket of our own."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn
from starlette.types import ASGIApp

from warmup.web.guard import split_listen


class CannotListen(Exception):
    """The address is taken or not ours."""


def _bound(listen: str) -> socket.socket:
    host, port = split_listen(listen)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(128)
    except OSError as error:
        sock.close()
        raise CannotListen(f"cannot listen on {listen} ({error.strerror}); choose another [http] listen") from error
    return sock


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        """Signals are the daemon's."""
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, *, listen: str) -> AsyncIterator[int]:
    """Serve `app` while the context lasts; gives the port. Raises CannotListen before anything else happens."""
    sock = _bound(listen)
    server = _Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    )
    task = asyncio.create_task(server.serve(sockets=[sock]), name="doors")
    try:
        yield int(sock.getsockname()[1])
    finally:
        server.should_exit = True
        await task
        sock.close()
