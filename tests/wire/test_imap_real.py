"""The IMAP door against a real server (pymap, in memory, behind TLS)."""

from dataclasses import replace
from typing import Any

import pytest

from warmup.mail.folder import Special, choose
from warmup.policy.mailbox import Endpoint
from warmup.wire.errors import CommandRefused, CredentialsRefused, ProtocolError, Untrusted
from warmup.wire.imap import Header, ImapSession, open_imap
from warmup.wire.login import Login
from warmup.wire.network import Network

FIELDS = ("Message-ID", "Subject", "From")


@pytest.fixture
async def session(pymap_server: Endpoint, login: Login, network: Network) -> Any:
    session = await open_imap(pymap_server, login, network=network)
    yield session
    await session.close()


async def read(session: ImapSession, last_uid: int = 0, **options: Any) -> list[Header]:
    return [header async for batch in session.headers_after(last_uid, FIELDS, **options) for header in batch]


async def test_folders_are_listed_and_the_usual_ones_found(session: ImapSession) -> None:
    folders = await session.folders()
    assert {"INBOX", "Sent", "Trash"} <= {folder.name for folder in folders}
    for role, name in ((Special.INBOX, "INBOX"), (Special.SENT, "Sent"), (Special.TRASH, "Trash")):
        found = choose(folders, role)
        assert found is not None
        assert found.name == name


async def test_headers_come_with_uid_date_size_and_flags_and_mark_nothing_seen(session: ImapSession) -> None:
    state = await session.examine("INBOX")
    first = await read(session)
    again = await read(session)

    assert not state.writable
    assert len(first) == state.exists > 2
    assert [header.uid for header in first] == sorted(header.uid for header in first)
    assert all(header.uid < state.uidnext for header in first)
    assert all(header.internaldate is not None and header.internaldate.tzinfo is not None for header in first)
    assert all(header.size for header in first)
    assert any(b"Subject:" in header.header for header in first)
    assert all(b"\r\n\r\n" not in header.header[:-4] for header in first)
    assert [header.flags for header in first] == [header.flags for header in again]


async def test_reading_goes_on_where_it_left_off(session: ImapSession) -> None:
    state = await session.examine("INBOX")
    everything = await read(session)
    middle = everything[1].uid
    assert [header.uid for header in await read(session, middle)] == [header.uid for header in everything[2:]]
    assert await read(session, state.uidnext - 1) == []
    assert await read(session, 2**32 - 1) == []
    batches = [batch async for batch in session.headers_after(0, FIELDS, batch=1)]
    assert [len(batch) for batch in batches] == [1] * len(everything)


async def test_without_fields_only_uid_date_size_and_flags_are_read(session: ImapSession) -> None:
    state = await session.examine("INBOX")
    found = [header async for batch in session.headers_after(0, ()) for header in batch]
    assert len(found) == state.exists
    assert {header.header for header in found} == {b""}


async def test_marking_and_moving_go_by_uid_and_leave_the_rest_alone(session: ImapSession) -> None:
    await session.create("Wärmflasche & Co")
    await session.create("Wärmflasche & Co")
    before = await session.select("INBOX")
    target = (await read(session))[1]

    await session.mark_seen([target.uid])
    await session.move([target.uid], "Wärmflasche & Co")

    after = await session.select("INBOX")
    assert after.exists == before.exists - 1
    assert target.uid not in {header.uid for header in await read(session)}
    moved_to = await session.examine("Wärmflasche & Co")
    moved = await read(session)
    assert moved_to.exists == 1
    assert moved[0].header == target.header
    assert "\\seen" in moved[0].flags


async def test_deleting_takes_away_what_was_named_and_nothing_else(session: ImapSession) -> None:
    await session.select("INBOX")
    before = await read(session)
    marked_by_the_owner = before[0]
    await session._line.run("STORE", str(marked_by_the_owner.uid), "+FLAGS", "(\\Deleted)", uid=True)
    await session.delete([before[1].uid], None)
    assert [header.uid for header in await read(session)] == [
        header.uid for header in before if header.uid != before[1].uid
    ]


async def test_a_message_is_found_by_a_header(session: ImapSession) -> None:
    await session.examine("INBOX")
    header = next(header for header in await read(session) if b"Subject: " in header.header)
    subject = header.header.partition(b"Subject: ")[2].split(b"\r\n")[0].decode()
    assert header.uid in await session.search_header("Subject", subject)
    assert await session.search_header("Subject", 'no "such" \\ subject') == ()


async def test_the_start_of_a_message_is_read_and_no_more(session: ImapSession) -> None:
    await session.examine("INBOX")
    header = (await read(session))[0]
    assert header.size is not None
    assert len(await session.start_of(header.uid)) == min(header.size, 65_536)
    assert len(await session.start_of(header.uid, limit=10)) == 10
    assert await session.start_of(99_999) == b""


async def test_an_examined_folder_is_not_changed(session: ImapSession) -> None:
    await session.examine("INBOX")
    uid = (await read(session))[0].uid
    with pytest.raises(ProtocolError, match="no folder is open for changes"):
        await session.mark_seen([uid])
    with pytest.raises(ProtocolError, match="no folder is open for changes"):
        await session.move([uid], "Trash")
    with pytest.raises(ProtocolError, match="no folder is open for changes"):
        await session.delete([uid], "Trash")


async def test_a_folder_that_is_not_there_is_refused_and_the_session_goes_on(session: ImapSession) -> None:
    with pytest.raises(CommandRefused):
        await session.examine('No "such" folder')
    assert session.usable
    assert (await session.examine("INBOX")).exists > 0


async def test_a_wrong_password_is_refused_without_being_said(
    pymap_server: Endpoint, login: Login, network: Network
) -> None:
    with pytest.raises(CredentialsRefused) as refusal:
        await open_imap(pymap_server, replace(login, secret='wr"ong\\Word'), network=network)
    assert "ong" not in str(refusal.value).replace("wrong", "")
    assert login.username in str(refusal.value)


async def test_a_password_beyond_ascii_reaches_the_server_whole(
    pymap_server: Endpoint, login: Login, network: Network
) -> None:
    with pytest.raises(CredentialsRefused):
        await open_imap(pymap_server, replace(login, secret="pässwörd"), network=network)


async def test_a_certificate_of_a_stranger_is_not_believed(pymap_server: Endpoint, login: Login) -> None:
    with pytest.raises(Untrusted, match="certificate"):
        await open_imap(pymap_server, login, network=Network(imap_timeout=20))


async def test_a_certificate_for_another_name_is_not_believed(
    pymap_server: Endpoint, login: Login, network: Network
) -> None:
    async def here(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    renamed = replace(pymap_server, host="imap.other.test")
    believing = replace(network, resolve=here, allow_private_hosts=True)
    with pytest.raises(Untrusted, match="certificate"):
        await open_imap(renamed, login, network=believing)


async def test_closing_twice_is_content(session: ImapSession) -> None:
    await session.noop()
    await session.close()
    await session.close()
    assert not session.usable
