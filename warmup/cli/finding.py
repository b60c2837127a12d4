"""Asking a domain where its mail servers are, where neither the operator nor a preset says."""

from warmup.cli.assembly import resolver_of
from warmup.cli.enrolment import Wish, wanted
from warmup.cli.output import progress
from warmup.cli.parts import Parts
from warmup.config.kinds import is_loopback, nameserver
from warmup.mail.address import parse_address
from warmup.wire.discovery import Discovery, Found


async def found_for(wish: Wish, parts: Parts) -> Found | None:
    """What the domain says of the servers that are wanted; None where nothing is. Raises AddressError."""
    missing = wanted(wish, parts.providers)
    if not missing:
        return None
    if parts.settings.is_rehearsal and not _asks_only_here(parts):
        return Found(tried=("a rehearsal asks nobody",))
    progress(f"asking the domain of {wish.address} for its mail servers")
    search = Discovery(providers=parts.providers, network=parts.network, resolver=resolver_of(parts.settings))
    return await search.find(parse_address(wish.address), wanted=missing)


def _asks_only_here(parts: Parts) -> bool:
    server = nameserver(parts.settings.network.resolver)
    return server is not None and is_loopback(server[0])
