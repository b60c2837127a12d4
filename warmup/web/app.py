"""The doors that machines knock at: `/metrics`, `/livez`, `/readyz`.

`/livez` says that the loop turns, `/readyz` that lock, migration and recovery are behind us and the ledger answers.
What is shown comes in through `Doorway`, so that the app is the same in the daemon and in a test.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from warmup.metrics import CONTENT_TYPE
from warmup.web.guard import Guard


@dataclass(frozen=True, slots=True, kw_only=True)
class Doorway:
    """What the app asks: `exposition` for one scrape, `unready` for why the daemon is not ready (None: it is)."""

    exposition: Callable[[], Awaitable[bytes]]
    unready: Callable[[], Awaitable[str | None]]


def build_app(doorway: Doorway, *, bind: str, hosts: tuple[str, ...], token: str | None) -> Starlette:
    """The app for a bind address; a bind that is not loopback without a token is a ValueError."""

    async def metrics(_request: Request) -> Response:
        return Response(await doorway.exposition(), media_type=CONTENT_TYPE)

    async def livez(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_request: Request) -> Response:
        reason = await doorway.unready()
        return PlainTextResponse("ok\n") if reason is None else PlainTextResponse(f"{reason}\n", status_code=503)

    return Starlette(
        routes=[Route("/metrics", metrics), Route("/livez", livez), Route("/readyz", readyz)],
        middleware=[Middleware(Guard, bind=bind, hosts=hosts, token=token)],
    )
