"""What DNS says: mail exchangers, service records and addresses, asked of one server or of the system's.

Silence is told from absence: a name or record that does not exist is an empty answer, a server that does not answer is
`Unreachable`. Nothing is cached, names are absolute (no search list), and what comes back is not yet trusted: whether
an address may be connected to is asked at connect time (wire/network).
"""

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from warmup.wire.errors import Unreachable, quote
from warmup.wire.network import system_addresses

if TYPE_CHECKING:
    from dns.asyncresolver import Resolver as Asker

# More records of a kind than this is no answer to work with.
_MOST = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One SRV record (RFC 2782): a lower `priority` first, then a higher `weight`."""

    priority: int
    weight: int
    host: str
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolver:
    """`nameserver` None: the system's. A question is given up after `seconds`, all tries together."""

    nameserver: tuple[str, int] | None = None
    seconds: float = 5.0

    async def mx(self, domain: str) -> tuple[str, ...]:
        """The hosts that take mail for `domain`, most preferred first; empty for none, and for a null MX (RFC 7505)."""
        answer = await self._asked(domain, "MX")
        found = sorted((int(record.preference), _host(record.exchange)) for record in answer)
        return tuple(host for _, host in found if host)

    async def srv(self, service: str, domain: str) -> tuple[Service, ...]:
        """Where `service` ("_imaps._tcp") of `domain` is, the first to be tried first; empty where it is not offered.

        A target of "." says so outright. Among equals the heaviest is first: one is remembered, so no load is spread.
        """
        answer = await self._asked(f"{service}.{domain}", "SRV")
        found = (
            Service(priority=record.priority, weight=record.weight, host=_host(record.target), port=record.port)
            for record in answer
        )
        usable = (one for one in found if one.host and one.port)
        return tuple(sorted(usable, key=lambda one: (one.priority, -one.weight, one.host, one.port)))

    async def addresses(self, host: str, port: int) -> list[str]:
        """The addresses of `host`, IPv4 first; OSError where there is no answer. The system's way without a server."""
        if host.lower().rstrip(".") == "localhost":
            # RFC 6761 6.3: localhost is not asked of a DNS server, and the system knows it without a dot.
            return await system_addresses("localhost", port)
        if self.nameserver is None:
            return await system_addresses(host, port)
        try:
            four, six = await asyncio.gather(self._asked(host, "A"), self._asked(host, "AAAA"))
        except Unreachable as silence:
            raise OSError(str(silence)) from silence
        return [str(record.address) for record in (*four, *six)]

    async def _asked(self, name: str, kind: str) -> list[Any]:
        """The records, at most 32; Unreachable where nobody answered."""
        from dns.exception import DNSException
        from dns.resolver import NXDOMAIN, NoAnswer

        try:
            answer = await self._asker().resolve(f"{name.rstrip('.')}.", kind, lifetime=self.seconds, search=False)
        except (NXDOMAIN, NoAnswer):
            return []
        except (DNSException, OSError, UnicodeError) as reason:
            raise Unreachable(
                f"DNS did not answer for {quote(name)} {kind}: {_reason(reason)}",
                hint="look at the network, or set network.resolver",
            ) from reason
        return list(answer)[:_MOST]

    def _asker(self) -> "Asker":
        from dns.asyncresolver import Resolver as Asker

        if self.nameserver is None:
            return Asker()
        asker = Asker(configure=False)
        host, asker.port = self.nameserver
        asker.nameservers = [host]
        return asker


def _host(name: Any) -> str:
    """The host a record names, in lower case without the dot at the end; empty for the root."""
    return str(name.to_text(omit_final_dot=True)).lower().rstrip(".")


def _reason(reason: Exception) -> str:
    return quote(str(reason)).rstrip(".") or type(reason).__name__
