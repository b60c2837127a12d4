"""The person's part of an OAuth 2.0 sign-in: which address to open, where, and what to do without a browser here.

Everything is said on stderr, and no token ever is. The time is bounded: `patience` seconds for all of it.
"""

import asyncio
from base64 import urlsafe_b64encode

from warmup.cli.faults import Exit, Fault
from warmup.cli.output import say, warn
from warmup.cli.parts import Parts
from warmup.cli.pasted import pasted_lines
from warmup.clock import pause
from warmup.policy.authority import Authority, AuthorityName
from warmup.wire.oauth import Tokens, begin_device, browser_url, poll, redeem
from warmup.wire.oauth_refusal import Refusal, refused
from warmup.wire.redirect import Landing, Redirected, StateMismatch, landing

_TOKEN_BYTES = 32


async def signed_in(parts: Parts, authority: Authority, address: str, *, patience: float) -> Tokens:
    """The tokens `address` grants, a refresh token among them. Raises Fault (77), WireError."""
    try:
        async with asyncio.timeout(patience):
            match authority.name:
                case AuthorityName.GOOGLE:
                    return await _by_browser(parts, authority, address)
                case AuthorityName.MICROSOFT:
                    return await _by_device(parts, authority, address)
    except TimeoutError:
        raise Fault(
            f"nobody signed in as {address} within {patience:g} s",
            "try again, with a longer --timeout",
            code=Exit.REFUSED,
        ) from None


async def _by_browser(parts: Parts, authority: Authority, address: str) -> Tokens:
    state, verifier = (_unguessable(parts) for _ in range(2))
    async with landing(state, port=parts.settings.oauth.google.redirect_port) as place:
        url = browser_url(authority, redirect_uri=place.redirect_uri, state=state, verifier=verifier, address=address)
        say(f"open this in a browser on this machine, and sign in as {address}:\n\n{url}\n")
        say("no browser here? Open it anywhere; it ends at a page that does not load: paste that page's address here")
        back = await _arrived(place)
    if back.error:
        raise refused(Refusal(status=200, error=back.error, sentence=back.sentence), authority, address=address)
    return await redeem(
        authority,
        back.code,
        verifier=verifier,
        redirect_uri=place.redirect_uri,
        address=address,
        network=parts.network,
    )


async def _by_device(parts: Parts, authority: Authority, address: str) -> Tokens:
    device = await begin_device(authority, address=address, network=parts.network)
    say(f"open {device.uri} in any browser, type {device.user_code}, and sign in as {address}")
    return await poll(authority, device, address=address, network=parts.network, pause=pause)


async def _arrived(place: Landing) -> Redirected:
    pasting = asyncio.ensure_future(_pasted(place))
    try:
        return await place.arrived
    finally:
        pasting.cancel()
        await asyncio.gather(pasting, return_exceptions=True)
        if place.strangers:
            warn("a redirect of another sign-in came to this port and was ignored")


async def _pasted(place: Landing) -> None:
    async for line in pasted_lines():
        try:
            place.take(line)
        except StateMismatch:
            warn("that is the end of another sign-in: open the address above, and paste where that one ends")
        except ValueError:
            warn(f"that is not where it ends: its address begins with {place.redirect_uri}")


def _unguessable(parts: Parts) -> str:
    return urlsafe_b64encode(parts.clock.token(_TOKEN_BYTES)).rstrip(b"=").decode("ascii")
