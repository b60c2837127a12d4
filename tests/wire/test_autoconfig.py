"""Settings files: what is offered, and that no file, however hostile, does more than be refused."""

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.policy.mailbox import Endpoint, Security
from warmup.wire.autoconfig import NotAutoconfig, Offers, is_host, offers, pairs

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus" / "autoconfig"
ANN = "ann@one.test"


def document(*servers: str, head: str = '<?xml version="1.0" encoding="UTF-8"?>') -> bytes:
    provider = f'<emailProvider id="x">{"".join(servers)}</emailProvider>'
    return f'{head}<clientConfig version="1.1">{provider}</clientConfig>'.encode()


def server(
    kind: str = "imap",
    host: str = "mail.one.test",
    port: str = "993",
    secured: str = "SSL",
    username: str = "%EMAILADDRESS%",
    *authentication: str,
) -> str:
    tag = "incomingServer" if kind == "imap" else "outgoingServer"
    ways = "".join(f"<authentication>{way}</authentication>" for way in authentication or ("password-cleartext",))
    return (
        f'<{tag} type="{kind}"><hostname>{host}</hostname><port>{port}</port><socketType>{secured}</socketType>'
        f"{ways}<username>{username}</username></{tag}>"
    )


def hosts(found: Offers) -> list[str]:
    return [offer.endpoint.host for offer in (*found.smtp, *found.imap)]


def test_servers_are_offered_in_the_order_of_the_file() -> None:
    found = offers(
        document(server("smtp", "b.one.test", "465"), server("smtp", "a.one.test", "587", "STARTTLS"), server()),
        address=ANN,
    )
    assert [offer.endpoint for offer in found.smtp] == [
        Endpoint(host="b.one.test", port=465, security=Security.TLS),
        Endpoint(host="a.one.test", port=587, security=Security.STARTTLS),
    ]
    assert found.imap[0].username == ANN


@pytest.mark.parametrize(
    "unusable",
    [
        server(secured="plain"),
        server(secured="STARTTLS", port="143"),
        server(secured=""),
        server("imap", "mail.one.test", "993", "SSL", "%EMAILADDRESS%", "OAuth2"),
        server("imap", "mail.one.test", "993", "SSL", "%EMAILADDRESS%", "GSSAPI", "client-IP-address"),
        server(port="0"),
        server(port="99999"),
        server(port="-1"),
        server(port="9" * 5000),
        server(port="٩٩٣"),
        server(host=""),
        server(host="mail one.test"),
        server(host="mail.one.test/evil"),
        server(host="user@mail.one.test"),
        server(host="mail.one.test\r\nRCPT"),
        server(host="%EVIL%.one.test"),
        server(host="x" * 300),
        server(username=""),
        server(username="a&#10;b"),
        server(username="%PASSWORD%"),
        server("pop3"),
    ],
)
def test_a_server_that_cannot_be_used_is_no_offer(unusable: str) -> None:
    assert hosts(offers(document(unusable, server("smtp", port="465")), address=ANN)) == ["mail.one.test"]


def test_oauth_alone_is_told_from_nothing() -> None:
    said = server("imap", "mail.one.test", "993", "SSL", "%EMAILADDRESS%", "OAuth2")
    assert offers(document(said), address=ANN).oauth_only
    assert not offers(document(server()), address=ANN).oauth_only


def test_placeholders_are_filled_in() -> None:
    found = offers(document(server(host="imap.%EMAILDOMAIN%.", username="%EMAILLOCALPART%.x")), address=ANN)
    assert (found.imap[0].endpoint.host, found.imap[0].username) == ("imap.one.test", "ann.x")


def test_only_servers_with_one_user_name_go_together() -> None:
    found = offers(
        document(
            server("smtp", "a.test", "465"), server("smtp", "b.test", "465", "SSL", "ann"), server(username="ann")
        ),
        address=ANN,
    )
    assert [(smtp.endpoint.host, imap.endpoint.host) for smtp, imap in pairs(found)] == [("b.test", "mail.one.test")]


BILLION = '<!DOCTYPE x [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(12)
)


@pytest.mark.parametrize(
    "hostile",
    [
        document(server(host="&m;"), head=f"{BILLION}]>"),
        document(server(host="&x;"), head='<!DOCTYPE x [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
        document(server(), head='<!DOCTYPE x SYSTEM "http://one.test/evil.dtd">'),
        document(server(), head='<!DOCTYPE x [<!ENTITY % p SYSTEM "http://one.test/p"> %p;]>'),
        document("<a>" * 200_000),
        document("<a>" * 30 + "</a>" * 30),
        document(server() * 17),
        document(server())[:-3],
        document(server(), head='<?xml version="1.0" encoding="UTF-7"?>'),
        document(server(), head='<?xml version="1.0" encoding="no-such"?>'),
        document(server(), head='<?xml version="1.0" encoding="utf-16"?>'),
        b"",
        b"\0" * 100,
        b"<html><body>404</body></html>",
        b"<clientConfig/>",
        b'<clientConfig xmlns="x"/>',
        "<clientConfig><emailProvider>\ud800".encode("utf-8", "surrogatepass"),
    ],
)
def test_a_hostile_file_is_refused_in_bounded_memory(hostile: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(NotAutoconfig):
            offers(hostile, address=ANN)
        assert tracemalloc.get_traced_memory()[1] < 4 * 1024 * 1024
    finally:
        tracemalloc.stop()


def test_comments_and_long_attributes_change_nothing() -> None:
    found = offers(document("<!-- " + "x" * 50_000 + " -->", f'<a b="{"y" * 50_000}"/>', server()), address=ANN)
    assert hosts(found) == ["mail.one.test"]


@given(st.binary(max_size=400))
def test_no_bytes_do_more_than_be_refused(data: bytes) -> None:
    for said in (data, document(server()) + data, document(server())[:150] + data):
        try:
            found = offers(said, address=ANN)
        except NotAutoconfig:
            continue
        assert all(is_host(host) for host in hosts(found))


@given(st.lists(st.tuples(st.sampled_from(["imap", "smtp"]), *[st.text(max_size=30)] * 4), max_size=4))
def test_whatever_a_server_is_called_an_offer_is_a_host_a_port_and_one_line(said: list[tuple[str, ...]]) -> None:
    from xml.sax.saxutils import escape

    try:
        found = offers(document(*(server(kind, *map(escape, rest)) for kind, *rest in said)), address=ANN)
    except NotAutoconfig:
        return  # a character that XML has no place for
    for offer in (*found.smtp, *found.imap):
        assert is_host(offer.endpoint.host)
        assert offer.endpoint.security is not Security.NONE
        assert offer.username
        assert offer.username.isprintable()


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is not here: published settings are read from there")
def test_every_published_file_is_read() -> None:
    read = {path.stem: offers(path.read_bytes(), address=ANN) for path in CORPUS.glob("*.xml")}
    assert len(read) > 100
    assert sum(any(True for _ in pairs(found)) for found in read.values()) > len(read) / 2
