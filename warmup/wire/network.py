"""Where we may connect, and whom we believe there.

The address is checked and then connected to, so that a name cannot answer twice: what was checked is what is used, and
the certificate must still bear the name. Loopback must be asked for literally. In a rehearsal nothing else is reached.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.errors import HostRefused, Unreachable, Untrusted, WireError, quote

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[list[str]]]

_UNKNOWN_CA = "check the host's name; for a CA of your own set network.ca_file"
_OTHER_NAME = "use the host name the certificate is for, as the provider documents it"
# By OpenSSL's X509_V_ERR_ numbers (x509_vfy.h).
_CERTIFICATE_FIXES = {
    9: "it is not valid yet: check this machine's clock",
    10: "the server's operator has to renew it; check this machine's clock too",
    18: "it vouches for itself: if this server is yours, set network.ca_file to its certificate",
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}

# RFC 6052 2.1: the last 32 bits of this prefix are an IPv4 address.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


async def system_addresses(host: str, port: int) -> list[str]:
    """The addresses of `host` as this machine resolves it; raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How we reach servers. `ca_file` is believed besides the system's CAs; time limits are real seconds."""

    ca_file: Path | None = None
    allow_private_hosts: bool = False
    smtp_timeout: float = 60.0
    imap_timeout: float = 60.0
    rehearsal: bool = False
    resolve: Resolve = system_addresses

    def __post_init__(self) -> None:
        if self.smtp_timeout <= 0 or self.imap_timeout <= 0:
            raise ValueError("a time limit is more than 0 seconds")

    async def connect(self, endpoint: Endpoint, *, timeout: float) -> socket.socket:
        """A connected socket at a checked address of `endpoint`, within `timeout` seconds for all addresses together.

        Raises HostRefused, Unreachable; Untrusted where plain text was asked for off loopback.
        """
        try:
            async with asyncio.timeout(timeout):
                return await self._connect_first(endpoint, await self.addresses(endpoint))
        except TimeoutError as late:
            raise Unreachable(f"{endpoint} did not answer within {timeout:g} s") from late

    async def addresses(self, endpoint: Endpoint) -> list[IPAddress]:
        """The addresses of `endpoint` we may connect to, at least one; raises HostRefused, Unreachable, Untrusted."""
        found = await self._resolved(endpoint)
        if self.rehearsal and not all(is_loopback(address) for address in found):
            raise HostRefused(
                f"{endpoint.host} is not on this machine, and a rehearsal reaches nothing else",
                hint="set rehearsal.speed to 1 before real mailboxes are used",
            )
        if endpoint.security is Security.NONE and not all(is_loopback(address) for address in found):
            raise Untrusted(f"{endpoint} asks for plain text, which is for loopback alone", hint="use tls or starttls")
        allowed = [address for address in found if self._may_reach(endpoint.host, address)]
        if not allowed:
            raise HostRefused(
                f"{endpoint.host} is at {found[0]}, a private address",
                hint="set network.allow_private_hosts if this server is yours",
            )
        return allowed

    def check_named(self, host: str) -> None:
        """Nothing where a host that somebody else named (DNS, a settings file, a redirect) may be asked; HostRefused.

        Loopback is for the operator to ask for; where names lead is checked when they are connected to.
        """
        if asks_for_loopback(host) and not self.allow_private_hosts:
            raise HostRefused(
                f"{host} is this machine itself, which others may not send us to",
                hint="set network.allow_private_hosts if this server is yours",
            )

    def tls(self) -> ssl.SSLContext:
        """TLS 1.2 or newer, name and certificate checked; raises Untrusted where `ca_file` cannot be used."""
        if self.ca_file is None:
            return _context(None, 0)
        try:
            return _context(self.ca_file, self.ca_file.stat().st_mtime_ns)
        except (OSError, ssl.SSLError) as reason:
            raise Untrusted(f"network.ca_file {self.ca_file} cannot be used: {quote(str(reason))}") from reason

    async def _resolved(self, endpoint: Endpoint) -> list[IPAddress]:
        literal = _literal(endpoint.host)
        if literal is not None:
            return [literal]
        try:
            found = await self.resolve(endpoint.host, endpoint.port)
        except (OSError, UnicodeError) as reason:
            raise Unreachable(
                f"{endpoint.host} was not found in DNS: {quote(str(reason))}", hint="check the host's spelling"
            ) from reason
        if not found:
            raise Unreachable(f"{endpoint.host} has no address in DNS", hint="check the host's spelling")
        return [ipaddress.ip_address(address) for address in found]

    def _may_reach(self, host: str, address: IPAddress) -> bool:
        if asks_for_loopback(host):
            return is_loopback(address)
        return self.allow_private_hosts or is_public(address)

    async def _connect_first(self, endpoint: Endpoint, addresses: list[IPAddress]) -> socket.socket:
        last: OSError | None = None
        for address in addresses:
            try:
                return await _connected(address, endpoint.port)
            except OSError as reason:
                last = reason
        assert last is not None
        raise Unreachable(f"{endpoint} refused the connection: {quote(last.strerror or str(last))}") from last


def asks_for_loopback(host: str) -> bool:
    """True where the operator named this machine itself: a literal loopback address, or localhost."""
    literal = _literal(host)
    return host.lower().rstrip(".") == "localhost" or (literal is not None and is_loopback(literal))


def is_loopback(address: IPAddress) -> bool:
    """True for this machine, also as an IPv4-mapped IPv6 address. No tunnel's prefix counts: it leaves the machine."""
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def is_public(address: IPAddress) -> bool:
    """True where the address is anybody's: not private, loopback, link-local, shared (CGNAT), reserved or multicast."""
    inner = _unwrapped(address)
    return inner.is_global and not inner.is_multicast


def refusal_of(reason: Exception, endpoint: Endpoint) -> WireError:
    """Our word for what opening TLS to `endpoint` raised."""
    match reason:
        case ssl.SSLCertVerificationError():
            return Untrusted(
                f"the certificate of {endpoint} is not believed: {quote(reason.verify_message or str(reason))}",
                hint=_CERTIFICATE_FIXES.get(reason.verify_code, _UNKNOWN_CA),
            )
        case ssl.SSLError():
            return Untrusted(
                f"{endpoint} did not agree on TLS: {quote(reason.reason or str(reason))}",
                hint="check port and security: 465 and 993 are tls, 587 is starttls",
            )
        case TimeoutError():
            return Unreachable(f"{endpoint} did not finish the TLS handshake in time")
        case _:
            return Unreachable(f"{endpoint} closed the connection: {quote(str(reason)) or type(reason).__name__}")


async def _connected(address: IPAddress, port: int) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (str(address), port))
    except BaseException:
        sock.close()
        raise
    return sock


@lru_cache(maxsize=8)
def _context(ca_file: Path | None, changed_ns: int) -> ssl.SSLContext:  # noqa: ARG001 (a changed file is another key)
    # Loading the system's CAs costs tens of milliseconds: once, not per connection.
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def _literal(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _unwrapped(address: IPAddress) -> IPAddress:
    """The IPv4 address an IPv6 one stands for (mapped, 6to4, Teredo, NAT64), else itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
