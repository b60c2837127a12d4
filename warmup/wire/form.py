"""A form posted to an authorisation server. No redirect is followed: a secret goes where it is sent or nowhere."""

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from urllib.parse import quote, quote_plus, urlencode, urlsplit

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import Unreachable
from warmup.wire.http import HttpAnswer, HttpRequest, exchange
from warmup.wire.network import Network

ANSWER_SECONDS = 30.0
LONGEST = 64 * 1024
"""Bytes of an answer; a token has a few thousand."""


async def post_form(
    url: str, fields: Mapping[str, str], *, network: Network, timeout: float = ANSWER_SECONDS
) -> HttpAnswer:
    """What `url` answers to `fields`, whatever its status. Raises WireError; within `timeout` seconds for all of it."""
    endpoint, parts = endpoint_of(url), urlsplit(url)
    request = HttpRequest(
        endpoint=endpoint,
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        accept="application/json",
        form=urlencode(fields).encode("ascii"),
    )
    try:
        async with asyncio.timeout(timeout):
            return await exchange(request, network=network, timeout=timeout, limit=LONGEST)
    except TimeoutError:
        raise Unreachable(f"{endpoint} did not answer within {timeout:g} s") from None


def endpoint_of(url: str) -> Endpoint:
    """The server of a web address the configuration let pass."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    return Endpoint(
        host=parts.hostname or "",
        port=parts.port or (443 if secure else 80),
        security=Security.TLS if secure else Security.NONE,
    )


def forms_of(secret: str) -> tuple[str, ...]:
    """The forms in which a secret in a posted field may be echoed, longest first: quoted, URL-encoded, in base64."""
    forms = {secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1], json.dumps(secret)[1:-1]}
    # Without its padding: an echo may leave it out.
    forms |= {encoded(secret.encode()).rstrip(b"=").decode("ascii") for encoded in (b64encode, urlsafe_b64encode)}
    return tuple(sorted(forms, key=len, reverse=True))
