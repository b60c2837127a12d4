"""Who may knock: the Host rule and the token.

The Host header must name the bind itself or one of `[http] hosts` (else 421: DNS rebinding ends here). A request to a
bind that is not loopback needs the token, and so does one that carries Forwarded or X-Forwarded-*: it came through a
proxy, and behind a proxy on loopback stands the world.
"""

import hmac
import ipaddress
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send


def is_loopback(host: str) -> bool:
    """True for localhost and every address of 127.0.0.0/8 and ::1."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def split_listen(listen: str) -> tuple[str, int]:
    """Host and port of `127.0.0.1:8465` or `[::1]:8465`; raises ValueError for anything else."""
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"listen must be HOST:PORT, got {listen!r}")
    return host.strip("[]"), int(port)


def _name_of(host_header: str) -> str:
    """The host part of a Host header, without its port, in lower case."""
    text = host_header.strip().lower()
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.rpartition(":")[0] if text.count(":") == 1 else text


class Guard:
    """ASGI middleware that lets through only who may knock."""

    def __init__(self, app: ASGIApp, *, bind: str, hosts: Iterable[str], token: str | None) -> None:
        self._app = app
        self._needs_token = not is_loopback(bind)
        own = {bind.lower()} | ({"localhost", "127.0.0.1", "::1"} if is_loopback(bind) else set())
        self._hosts = own | {host.lower() for host in hosts}
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(Headers(scope=scope))
        await (refusal or self._app)(scope, receive, send)

    def _refusal(self, headers: Headers) -> PlainTextResponse | None:
        if _name_of(headers.get("host", "")) not in self._hosts:
            return PlainTextResponse("this host name is not one of [http] hosts\n", status_code=421)
        forwarded = any(name == "forwarded" or name.startswith("x-forwarded-") for name in headers)
        if (self._needs_token or forwarded) and not self._believed(headers.get("authorization", "")):
            return PlainTextResponse(
                "a token is needed: Authorization: Bearer TOKEN\n",
                status_code=401,
                headers={"WWW-Authenticate": "Bearer"},
            )
        return None

    def _believed(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        if self._token is None or scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(token.strip().encode(), self._token.encode())
