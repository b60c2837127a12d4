"""Where an address's mail servers are, by what its domain says itself: MX, autoconfig, SRV, in this order, no guess.

The MX tells whether a domain of one's own lives at a provider we know. Else the domain's own autoconfig file is asked
over https, then its service records (RFC 6186, RFC 8314). Nobody else is asked: no public database, no likely name. No
credential is near: this only finds, whether a host may be given a password is decided at enrolment (`strangers`).
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

from warmup.mail.address import ascii_domain, domain_of
from warmup.policy.mailbox import Endpoint, Protocol, Security
from warmup.policy.provider import Provider, Providers
from warmup.wire import autoconfig
from warmup.wire.errors import HostRefused, WireError
from warmup.wire.https import HTTPS, Page, fetch
from warmup.wire.network import Network
from warmup.wire.resolver import Resolver

_SERVICES = {
    # RFC 8314 3: implicit TLS before STARTTLS, where both are offered.
    Protocol.SMTP: (("_submissions._tcp", Security.TLS), ("_submission._tcp", Security.STARTTLS)),
    Protocol.IMAP: (("_imaps._tcp", Security.TLS),),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found: a provider by its MX, or servers the domain names; and why the rest was not.

    `source` names what spoke ("autoconfig", "SRV"). `username` None: nobody said one.
    """

    provider: Provider | None = None
    smtp: Endpoint | None = None
    imap: Endpoint | None = None
    username: str | None = None
    source: str = ""
    tried: tuple[str, ...] = ()

    def has(self, wanted: Iterable[Protocol]) -> bool:
        """True where every server of `wanted` was found."""
        servers = {Protocol.SMTP: self.smtp, Protocol.IMAP: self.imap}
        return self.provider is not None or all(servers[protocol] is not None for protocol in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    """How settings are looked for. `port` is where https is spoken."""

    providers: Providers
    network: Network
    resolver: Resolver
    port: int = HTTPS

    async def find(self, address: str, *, wanted: frozenset[Protocol] = frozenset(Protocol)) -> Found:
        """What there is to find for `address`. Raises nothing of a server's making: `tried` tells what went wrong.

        DNS that does not answer ends the search: without the MX nobody knows whose mailbox it is.
        """
        domain = ascii_domain(domain_of(address))
        try:
            self.network.check_named(domain)
            exchangers = await self.resolver.mx(domain)
        except WireError as silence:
            return Found(tried=(str(silence),))
        provider = self.providers.find_by_mx(exchangers)
        if provider is not None:
            return Found(provider=provider, source="MX")
        found = await self._published(address, domain)
        if found.has(wanted):
            return found
        return await self._by_services(domain, found)

    async def _published(self, address: str, domain: str) -> Found:
        """What the domain's autoconfig file offers, the first of its two places first."""
        at = "" if self.port == HTTPS else f":{self.port}"
        urls = (
            f"https://autoconfig.{domain}{at}/mail/config-v1.1.xml",
            f"https://{domain}{at}/.well-known/autoconfig/mail/config-v1.1.xml",
        )
        answers = await asyncio.gather(*(self._offers(url, address) for url in urls))
        tried = tuple(answer for answer in answers if isinstance(answer, str))
        for offers in answers:
            if not isinstance(offers, str):
                return replace(_from_offers(offers), tried=tried)
        return Found(tried=tried)

    async def _offers(self, url: str, address: str) -> autoconfig.Offers | str:
        """What the file at `url` offers, or why it does not."""
        try:
            page: Page = await fetch(url, network=self.network)
            if page.status != 200:
                return f"{url} answered {page.status}"
            offers = offered(page.body, address=address, network=self.network)
        except HostRefused as refusal:
            return f"{url}: {refusal} ({refusal.hint})"
        except WireError as failure:
            return f"{url}: {failure}"
        if not offers.smtp and not offers.imap:
            why = "only OAuth 2.0 sign-in" if offers.oauth_only else "no server that takes a password under TLS"
            return f"{url} offers {why}"
        return offers

    async def _by_services(self, domain: str, found: Found) -> Found:
        """`found`, with what service records add to it."""
        tried = list(found.tried)
        servers = {Protocol.SMTP: found.smtp, Protocol.IMAP: found.imap}
        for protocol, known in servers.items():
            if known is None:
                servers[protocol] = await self._service(protocol, domain, tried)
        news = servers != {Protocol.SMTP: found.smtp, Protocol.IMAP: found.imap}
        sources = [source for source in (found.source, "SRV" if news else "") if source]
        return replace(
            found,
            smtp=servers[Protocol.SMTP],
            imap=servers[Protocol.IMAP],
            source=" and ".join(sources),
            tried=tuple(tried),
        )

    async def _service(self, protocol: Protocol, domain: str, tried: list[str]) -> Endpoint | None:
        for service, security in _SERVICES[protocol]:
            try:
                for record in await self.resolver.srv(service, domain):
                    self.network.check_named(record.host)
                    if autoconfig.is_host(record.host):
                        return Endpoint(host=record.host, port=record.port, security=security)
            except HostRefused as refusal:
                tried.append(f"{service}.{domain}: {refusal} ({refusal.hint})")
            except WireError as failure:
                tried.append(str(failure))
        tried.append(f"{' and '.join(service for service, _ in _SERVICES[protocol])} say nothing")
        return None


def offered(document: bytes, *, address: str, network: Network) -> autoconfig.Offers:
    """What a settings file offers; raises NotAutoconfig, and HostRefused where it would send us to this machine."""
    offers = autoconfig.offers(document, address=address)
    for offer in (*offers.smtp, *offers.imap):
        network.check_named(offer.endpoint.host)
    return offers


def strangers(found: Found, address: str, providers: Providers) -> tuple[str, ...]:
    """The hosts found that may have no password unasked: neither in the address's registrable domain nor a preset's."""
    home = providers.registrable(ascii_domain(domain_of(address)))
    presets = {server.host for one in providers.by_name.values() for server in (*one.smtp, one.imap) if server}
    hosts = dict.fromkeys(server.host for server in (found.smtp, found.imap) if server is not None)
    return tuple(host for host in hosts if host not in presets and providers.registrable(host) != home)


def _from_offers(offers: autoconfig.Offers) -> Found:
    """The first pair that goes together, else the one half there is; a second user name is no guess of ours."""
    for smtp, imap in autoconfig.pairs(offers):
        return Found(smtp=smtp.endpoint, imap=imap.endpoint, username=smtp.username, source="autoconfig")
    smtp_only = next(iter(offers.smtp), None) if not offers.imap else None
    imap_only = next(iter(offers.imap), None) if not offers.smtp else None
    half = smtp_only or imap_only
    if half is None:
        return Found()
    return Found(
        smtp=smtp_only.endpoint if smtp_only else None,
        imap=imap_only.endpoint if imap_only else None,
        username=half.username,
        source="autoconfig",
    )
