"""A certificate that does not hold is refused with its reason, at every door, before a credential is said."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from warmup.policy.mailbox import Security
from warmup.wire.errors import Untrusted
from warmup.wire.hints import hint_for
from warmup.wire.imap import open_imap
from warmup.wire.login import Login
from warmup.wire.network import Network
from warmup.wire.smtp import open_smtp

Start = Callable[..., Awaitable[Any]]
YEAR, DAY = timedelta(days=365), timedelta(days=1)
REASONS = {
    "expired": ("expired", "renew"),
    "not yet valid": ("not yet valid", "clock"),
    "wrong name": ("mismatch", "host name"),
    "unknown authority": ("issuer", "network.ca_file"),
    "self-signed": ("self", "network.ca_file"),
}


def serving(leaf: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf.configure_cert(context)
    return context


def self_signed(folder: Path) -> ssl.SSLContext:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - DAY, now + YEAR)
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    path = folder / "self.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.sign(key, hashes.SHA256()).public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return context


@pytest.fixture(scope="module")
def doubtful(ca: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> dict[str, ssl.SSLContext]:
    now = datetime.now(UTC)
    return {
        "expired": serving(ca.issue_cert("localhost", not_before=now - YEAR, not_after=now - DAY)),
        "not yet valid": serving(ca.issue_cert("localhost", not_before=now + DAY)),
        "wrong name": serving(ca.issue_cert("elsewhere.test")),
        "unknown authority": serving(trustme.CA().issue_cert("localhost")),
        "self-signed": self_signed(tmp_path_factory.mktemp("self")),
    }


def smtp(endpoint: Any, login: Login, network: Network) -> Awaitable[Any]:
    return open_smtp(endpoint, login, helo="sender.test", network=network)


def imap(endpoint: Any, login: Login, network: Network) -> Awaitable[Any]:
    return open_imap(endpoint, login, network=network)


@pytest.mark.parametrize("kind", REASONS)
@pytest.mark.parametrize(
    ("door", "security"),
    [(smtp, Security.STARTTLS), (smtp, Security.TLS), (imap, Security.TLS)],
    ids=["smtp-starttls", "smtp-tls", "imap-tls"],
)
async def test_it_is_refused_with_the_reason_and_the_fix(
    serve: Start,
    doubtful: dict[str, ssl.SSLContext],
    login: Login,
    network: Network,
    kind: str,
    door: Callable[[Any, Login, Network], Awaitable[Any]],
    security: Security,
) -> None:
    async def handle(serving: Any, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if security is Security.STARTTLS:
            writer.write(b"220 here\r\n")
            serving.said.append(await reader.readline())
            writer.write(b"250-here\r\n250 STARTTLS\r\n")
            serving.said.append(await reader.readline())
            writer.write(b"220 go ahead\r\n")
            await writer.start_tls(doubtful[kind])
        serving.said.append(await reader.read())

    server = await serve(handle, doubtful[kind] if security is Security.TLS else None)
    endpoint = server.endpoint(security, host="localhost")
    with pytest.raises(Untrusted) as refused:
        await door(endpoint, login, network)
    word, fix = REASONS[kind]
    assert str(endpoint) in str(refused.value)
    assert word in str(refused.value)
    assert fix in hint_for(refused.value, endpoint)
    assert "\n" not in f"{refused.value}{refused.value.hint}"
    assert [line.split()[0] for line in server.said if line] in ([], [b"EHLO", b"STARTTLS"])


async def test_the_same_doors_open_where_the_certificate_holds(
    scripted_smtp: Start, scripted_imap: Start, server_tls: ssl.SSLContext, login: Login, network: Network
) -> None:
    sending = await scripted_smtp(implicit=True)
    reading = await scripted_imap(tls=server_tls)
    assert (await smtp(sending.endpoint(Security.TLS, host="localhost"), login, network)).usable
    assert (await imap(reading.endpoint(Security.TLS, host="localhost"), login, network)).usable
