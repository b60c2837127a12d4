"""The daemon's doors for machines, opened beside it: `/metrics`, `/livez`, `/readyz`."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from warmup.cli.token import token_of
from warmup.daemon import Daemon
from warmup.metrics import exposition
from warmup.steps.circle import Circle
from warmup.steps.fleet import figures
from warmup.web.app import Doorway, build_app
from warmup.web.guard import split_listen
from warmup.web.server import serving

log = structlog.get_logger("run")


@asynccontextmanager
async def doors_open(daemon: Daemon, circle: Circle) -> AsyncIterator[str]:
    """Serve metrics and health at the address given; it stands in `<ledger>.http` while it is served.

    Raises CannotListen before anything else happens.
    """
    http = circle.settings.http
    host, _ = split_listen(http.listen)
    token = token_of(http.token_file)

    async def shown() -> bytes:
        return await asyncio.to_thread(exposition, await figures(daemon.circle), circle.process)

    app = build_app(Doorway(exposition=shown, unready=daemon.unready), bind=host, hosts=http.hosts, token=token)
    async with serving(app, listen=http.listen) as port:
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        circle.settings.http_file.write_text(address + "\n", encoding="utf-8")
        log.info("serving", address=address)
        try:
            yield address
        finally:
            circle.settings.http_file.unlink(missing_ok=True)
