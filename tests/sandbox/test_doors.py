"""What the doors let in, and how they say no."""

import asyncio
import imaplib
import smtplib
import ssl
from typing import Any

import pytest

ANNA, BERT = "anna@one.test", "bert@two.test"


async def test_a_password_is_not_taken_in_the_clear(open_bench: Any) -> None:
    bench = await open_bench()
    doors = bench.sandbox.doors(ANNA)

    def talk() -> Any:
        with smtplib.SMTP(doors.host, doors.smtp_port, timeout=10) as client:
            client.ehlo()
            return client.has_extn("auth"), client.docmd("AUTH PLAIN AGEAYg==")[0], client.docmd("MAIL FROM:<a@b.c>")[0]

    assert await asyncio.to_thread(talk) == (False, 530, 530)


@pytest.mark.parametrize("port", ["starttls", "implicit"])
async def test_nothing_is_taken_before_a_login(open_bench: Any, port: str) -> None:
    bench = await open_bench()
    doors = bench.sandbox.doors(ANNA)

    def talk() -> Any:
        client: smtplib.SMTP
        if port == "implicit":
            client = smtplib.SMTP_SSL(doors.host, doors.smtps_port, context=bench.tls, timeout=10)
        else:
            client = smtplib.SMTP(doors.host, doors.smtp_port, timeout=10)
            client.starttls(context=bench.tls)
        with client:
            client.ehlo()
            return client.docmd(f"MAIL FROM:<{ANNA}>")[0]

    assert await asyncio.to_thread(talk) == 530


@pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
@pytest.mark.parametrize("right", [True, False])
async def test_the_implicit_tls_port_takes_plain_and_login_with_the_right_password(
    open_bench: Any, mechanism: str, right: bool
) -> None:
    bench = await open_bench()
    doors = bench.sandbox.doors(ANNA)

    def talk() -> Any:
        with smtplib.SMTP_SSL(doors.host, doors.smtps_port, context=bench.tls, timeout=10) as client:
            client.ehlo()
            client.user, client.password = doors.username, doors.password if right else "wrong"
            method = mechanism.removeprefix("auth_").upper()
            try:
                return client.auth(method, getattr(client, mechanism))[0]
            except smtplib.SMTPAuthenticationError as refusal:
                return refusal.smtp_code

    assert await asyncio.to_thread(talk) == (235 if right else 535)


async def test_the_certificate_is_good_for_its_own_authority_and_for_no_other(open_bench: Any) -> None:
    bench = await open_bench()
    doors = bench.sandbox.doors(ANNA)

    def talk(context: ssl.SSLContext) -> int:
        with smtplib.SMTP_SSL(doors.host, doors.smtps_port, context=context, timeout=10) as client:
            return client.noop()[0]

    assert await asyncio.to_thread(talk, bench.tls) == 250
    with pytest.raises(ssl.SSLCertVerificationError):
        await asyncio.to_thread(talk, ssl.create_default_context())


async def test_an_account_writes_only_as_itself_and_only_to_people_who_live_here(open_bench: Any) -> None:
    bench = await open_bench()

    def talk() -> Any:
        with bench.smtp(ANNA) as client:
            as_another = client.docmd(f"MAIL FROM:<{BERT}>")
            client.docmd(f"MAIL FROM:<{ANNA}>")
            return as_another[0], client.docmd("RCPT TO:<nobody@two.test>"), client.docmd(f"RCPT TO:<{BERT}>")[0]

    refused, nobody, known = await asyncio.to_thread(talk)
    assert (refused, known) == (553, 250)
    assert nobody == (550, b"5.1.1 No such user here")


async def test_a_connection_takes_many_messages(open_bench: Any) -> None:
    bench = await open_bench()

    def talk() -> Any:
        with bench.smtp(ANNA) as client:
            for number in range(5):
                client.sendmail(ANNA, [BERT], f"Message-ID: <{number}@one.test>\r\n\r\nHello.\r\n")

    await asyncio.to_thread(talk)
    assert bench.sandbox.record.received == tuple(f"<{number}@one.test>" for number in range(5))


async def test_a_421_is_the_last_word_on_a_connection(open_bench: Any) -> None:
    bench = await open_bench(quiet_volume=0.01, defer_at=1.01, tolerance=1.0)

    def talk() -> tuple[int, bool]:
        code = 250
        with bench.smtp(ANNA) as client:
            while code == 250:
                client.mail(ANNA)
                client.rcpt(BERT)
                code, _ = client.data("Message-ID: <1@one.test>\r\n\r\nHello.\r\n")
            try:
                client.noop()
            except smtplib.SMTPServerDisconnected:
                return code, True
            return code, False

    assert await asyncio.to_thread(talk) == (421, True)


async def test_the_server_offers_size_and_enhanced_status_codes(open_bench: Any) -> None:
    bench = await open_bench()

    def talk() -> Any:
        with bench.smtp(ANNA) as client:
            client.ehlo()
            return client.esmtp_features

    offered = await asyncio.to_thread(talk)
    assert {"size", "enhancedstatuscodes", "8bitmime"} <= set(offered)
    assert int(offered["size"]) > 1_000_000


async def test_reading_needs_the_right_password(open_bench: Any) -> None:
    bench = await open_bench()
    doors = bench.sandbox.doors(BERT)

    def talk(password: str) -> str:
        with imaplib.IMAP4_SSL(doors.host, doors.imaps_port, ssl_context=bench.tls, timeout=10) as client:
            return client.login(doors.username, password)[0]

    assert await asyncio.to_thread(talk, doors.password) == "OK"
    with pytest.raises(imaplib.IMAP4.error):
        await asyncio.to_thread(talk, "wrong")


async def test_folders_say_what_they_are_for(open_bench: Any) -> None:
    bench = await open_bench(junk_folder="[Two]/Spam")
    lines = await bench.on_imap(BERT, lambda client: client.list()[1])
    assert [line.decode() for line in lines] == [
        r'(\HasNoChildren) "/" INBOX',
        r'(\Noselect \HasChildren) "/" [Two]',
        r'(\HasNoChildren \Junk) "/" [Two]/Spam',
        r'(\HasNoChildren \Sent) "/" Sent',
        r'(\HasNoChildren \Trash) "/" Trash',
    ]


async def test_the_capabilities_are_those_the_program_looks_for(open_bench: Any) -> None:
    bench = await open_bench()
    lines = await bench.on_imap(BERT, lambda client: client.capability()[1])
    assert {b"SPECIAL-USE", b"MOVE", b"IDLE", b"UIDPLUS"} <= set(lines[-1].split())


async def test_no_connection_outlives_the_sandbox(open_bench: Any) -> None:
    bench = await open_bench()
    doors = bench.sandbox.doors(BERT)
    reader, writer = await asyncio.open_connection(
        doors.host, doors.imaps_port, ssl=bench.tls, server_hostname="localhost"
    )
    assert (await reader.readline()).startswith(b"* OK")
    await bench.sandbox.__aexit__(None, None, None)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readuntil(b"never")
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(doors.host, doors.imaps_port)
    writer.close()


async def test_a_restart_ends_every_connection_and_keeps_the_mail_and_the_ports(open_bench: Any) -> None:
    bench = await open_bench(delay_minutes=0.0)
    doors = bench.sandbox.doors(BERT)
    assert (await bench.send(ANNA, BERT, "<1@one.test>"))[0] == 250
    reader, writer = await asyncio.open_connection(
        doors.host, doors.imaps_port, ssl=bench.tls, server_hostname="localhost"
    )
    assert (await reader.readline()).startswith(b"* OK")
    await bench.sandbox.restart(0.0)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readuntil(b"never")
    writer.close()
    assert bench.sandbox.doors(BERT) == doors
    assert [seen.message_id for seen in await bench.look(BERT)] == ["<1@one.test>"]
    assert (await bench.send(ANNA, BERT, "<2@one.test>"))[0] == 250
