"""Warm sessions: one at a time, kept, refreshed, dropped, and nobody's trouble is another's."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from warmup.mail.answer import Accepted
from warmup.policy.mailbox import AccountId, Endpoint, Mailbox, MailboxId, Protocol, Role, Security, SmtpAuth, State
from warmup.wire.doors import Doors
from warmup.wire.errors import CredentialsRefused, Unreachable
from warmup.wire.login import Login
from warmup.wire.network import Network
from warmup.wire.smtp import Envelope

Start = Callable[..., Awaitable[Any]]

LETTER = Envelope(sender="ann@sender.test", recipient="bob@seed.test", content=b"Subject: x\r\n\r\nhello\r\n")
NOWHERE = Endpoint(host="127.0.0.1", port=1, security=Security.NONE)


def mailbox(number: int = 1, *, smtp: Endpoint = NOWHERE, imap: Endpoint = NOWHERE) -> Mailbox:
    return Mailbox(
        id=MailboxId(number),
        account_id=AccountId(number),
        address="ann@sender.test",
        provider="custom",
        receiver="sender.test",
        role=Role.BOTH,
        state=State.ACTIVE,
        ramp="standard",
        target=None,
        daily_limit=100,
        timezone="UTC",
        smtp=smtp,
        imap=imap,
        username="ann@sender.test",
        enrolled_at=datetime(2026, 1, 1, tzinfo=UTC),
    )


@pytest.fixture
async def doors(network: Network, login: Login) -> AsyncIterator[Doors]:
    async def unseal(_mailbox: Mailbox, _protocol: Protocol) -> Login:
        return login

    doors = Doors(network=network, unseal=unseal)
    yield doors
    await doors.close()


async def test_a_session_is_kept_for_the_next_message(scripted_smtp: Start, doors: Doors) -> None:
    server = await scripted_smtp()
    ann = mailbox(smtp=server.endpoint(Security.NONE))
    for _ in range(3):
        async with doors.smtp(ann) as session:
            assert isinstance(await session.submit(LETTER), Accepted)
    assert server.connections == 1
    assert len(server.messages) == 3
    assert server.said[0] == b"EHLO sender.test\r\n"


async def test_no_more_sessions_are_kept_than_may_be_and_the_longest_idle_goes_first(
    scripted_smtp: Start, network: Network, login: Login
) -> None:
    async def unseal(_mailbox: Mailbox, _protocol: Protocol) -> Login:
        return login

    few = Doors(network=network, unseal=unseal, most_kept=2)
    servers = [await scripted_smtp() for _ in range(3)]
    fleet = [mailbox(number, smtp=server.endpoint(Security.NONE)) for number, server in enumerate(servers)]
    for one in (fleet[0], fleet[1], fleet[0], fleet[2], fleet[0]):
        async with few.smtp(one):
            pass
    # The first was used again before the third came: the second idled longest.
    async with few.smtp(fleet[1]):
        pass
    assert [server.connections for server in servers] == [1, 2, 1]
    await few.close()


async def test_a_stale_session_is_asked_before_it_is_lent_again(
    scripted_smtp: Start, scripted_imap: Start, doors: Doors, network: Network, login: Login
) -> None:
    async def unseal(_mailbox: Mailbox, _protocol: Protocol) -> Login:
        return login

    eager = Doors(network=network, unseal=unseal, stale_seconds=0)
    smtp, imap = await scripted_smtp(), await scripted_imap()
    ann = mailbox(smtp=smtp.endpoint(Security.NONE), imap=imap.endpoint(Security.NONE))
    for _ in range(2):
        async with eager.smtp(ann), eager.imap(ann):
            pass
    assert smtp.said[-1] == b"NOOP\r\n"
    assert imap.said[-1].endswith(b" NOOP\r\n")
    assert (smtp.connections, imap.connections) == (1, 1)
    await eager.close()
    assert smtp.said[-1] == b"QUIT\r\n"
    assert imap.said[-1].endswith(b" LOGOUT\r\n")


async def test_a_session_that_died_meanwhile_is_replaced(
    scripted_smtp: Start, scripted_imap: Start, network: Network, login: Login
) -> None:
    async def unseal(_mailbox: Mailbox, _protocol: Protocol) -> Login:
        return login

    eager = Doors(network=network, unseal=unseal, stale_seconds=0)
    smtp, imap = await scripted_smtp(noop=b"421 idle too long\r\n"), await scripted_imap(noop=b"")
    ann = mailbox(smtp=smtp.endpoint(Security.NONE), imap=imap.endpoint(Security.NONE))
    for _ in range(2):
        async with eager.smtp(ann) as sending, eager.imap(ann) as reading:
            assert sending.usable
            assert reading.usable
    assert (smtp.connections, imap.connections) == (2, 2)
    await eager.close()


async def test_after_an_error_of_its_user_a_session_is_dropped(scripted_imap: Start, doors: Doors) -> None:
    server = await scripted_imap()
    ann = mailbox(imap=server.endpoint(Security.NONE))
    with pytest.raises(ZeroDivisionError):
        async with doors.imap(ann) as first:
            raise ZeroDivisionError
    assert not first.usable
    async with doors.imap(ann) as second:
        assert second is not first
    assert server.connections == 2


async def test_a_changed_endpoint_or_user_name_wants_a_session_of_its_own(scripted_imap: Start, doors: Doors) -> None:
    one, other = await scripted_imap(), await scripted_imap()
    ann = mailbox(imap=one.endpoint(Security.NONE))
    for changed in (ann, replace(ann, imap=other.endpoint(Security.NONE)), replace(ann, username="eve")):
        async with doors.imap(changed):
            pass
    assert (one.connections, other.connections) == (2, 1)


async def test_one_mailbox_has_one_session_at_a_time(scripted_imap: Start, doors: Doors) -> None:
    server = await scripted_imap()
    ann = mailbox(imap=server.endpoint(Security.NONE))
    inside = 0

    async def look() -> None:
        nonlocal inside
        async with doors.imap(ann) as session:
            inside += 1
            assert inside == 1
            await session.noop()
            inside -= 1

    await asyncio.gather(*(look() for _ in range(5)))
    assert server.connections == 1


async def test_a_mailbox_that_hangs_or_fails_keeps_no_other_waiting(scripted_imap: Start, doors: Doors) -> None:
    hanging, refusing, sound = (
        await scripted_imap(login=None),
        await scripted_imap(login=b"TAG NO no\r\n"),
        await scripted_imap(),
    )

    async def look(number: int, server: Any) -> None:
        async with doors.imap(mailbox(number, imap=server.endpoint(Security.NONE))) as session:
            await session.noop()

    stuck = asyncio.create_task(look(1, hanging))
    await hanging.reached.wait()
    with pytest.raises(CredentialsRefused):
        await look(2, refusing)
    with pytest.raises(Unreachable):
        async with doors.imap(mailbox(3)):
            pass
    await look(4, sound)
    assert not stuck.done()
    stuck.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stuck


async def test_a_kept_session_is_closed_when_its_time_is_over(
    scripted_imap: Start, network: Network, login: Login
) -> None:
    async def unseal(_mailbox: Mailbox, _protocol: Protocol) -> Login:
        return login

    brief = Doors(network=network, unseal=unseal, keep_seconds=0)
    server = await scripted_imap(logout=None)
    async with brief.imap(mailbox(imap=server.endpoint(Security.NONE))):
        pass
    # The script notes LOGOUT and says nothing more: closing must not wait for it.
    await server.reached.wait()
    await brief.close()
    assert server.said[-1].endswith(b" LOGOUT\r\n")


async def test_what_is_forgotten_is_closed(scripted_imap: Start, doors: Doors) -> None:
    server = await scripted_imap()
    ann = mailbox(imap=server.endpoint(Security.NONE))
    async with doors.imap(ann):
        pass
    await doors.forget(ann.id)
    assert server.said[-1].endswith(b" LOGOUT\r\n")
    await doors.forget(ann.id)


async def test_closed_doors_lend_nothing_and_cut_what_is_lent(scripted_imap: Start, doors: Doors) -> None:
    server = await scripted_imap()
    ann = mailbox(imap=server.endpoint(Security.NONE))

    async def hold_on() -> None:
        async with doors.imap(ann) as session:
            await doors.close()
            await session.noop()

    with pytest.raises(Unreachable):
        await hold_on()
    with pytest.raises(Unreachable, match="closing"):
        async with doors.imap(ann):
            pass


async def test_a_relay_is_greeted_under_tls_and_told_no_secret(scripted_smtp: Start, network: Network) -> None:
    async def unseal(_mailbox: Mailbox, protocol: Protocol) -> Login:
        raise AssertionError(f"nobody may ask for the secret of {protocol}")

    server = await scripted_smtp(
        ehlo=[b"250-relay\r\n250-STARTTLS\r\n250 AUTH PLAIN LOGIN\r\n", b"250-relay\r\n250 AUTH PLAIN LOGIN\r\n"]
    )
    doors = Doors(network=network, unseal=unseal)
    relayed = replace(mailbox(smtp=server.endpoint(Security.STARTTLS)), smtp_auth=SmtpAuth.NONE)
    async with doors.smtp(relayed) as session:
        assert isinstance(await session.submit(LETTER), Accepted)
    await doors.close()
    verbs = [line.split()[0].upper() for line in server.said]
    assert verbs[:3] == [b"EHLO", b"STARTTLS", b"EHLO"]
    assert b"AUTH" not in verbs


async def test_a_session_of_one_sign_in_is_not_lent_to_another(
    scripted_smtp: Start, network: Network, login: Login
) -> None:
    async def unseal(_mailbox: Mailbox, _protocol: Protocol) -> Login:
        return login

    server = await scripted_smtp()
    doors = Doors(network=network, unseal=unseal)
    ann = mailbox(smtp=server.endpoint(Security.NONE))
    for each in (replace(ann, smtp_auth=SmtpAuth.NONE), ann):
        async with doors.smtp(each) as session:
            assert isinstance(await session.submit(LETTER), Accepted)
    await doors.close()
    assert server.connections == 2
    assert sum(line.upper().startswith(b"AUTH") for line in server.said) == 1


async def test_a_visit_ends_however_slowly_its_answers_come(
    scripted_smtp: Start, scripted_imap: Start, network: Network, login: Login
) -> None:
    async def unseal(_mailbox: Mailbox, _protocol: Protocol) -> Login:
        return login

    doors = Doors(network=network, unseal=unseal, session_seconds=0.2)
    sending, reading = await scripted_smtp(), await scripted_imap(noop=None)
    ann = mailbox(smtp=sending.endpoint(Security.NONE), imap=reading.endpoint(Security.NONE))
    async with doors.smtp(ann) as session:
        # One that was asked for in time is handed over; the next is not begun.
        async with asyncio.timeout(10):
            while session.usable:
                assert isinstance(await session.submit(LETTER), Accepted)
        assert isinstance(await session.submit(LETTER), Accepted)
    with pytest.raises(Unreachable, match="took too long"):
        async with asyncio.timeout(10), doors.imap(ann) as looked:
            await looked.noop()
    async with doors.smtp(ann) as another:
        assert another.usable
    assert sending.connections == 2
    await doors.close()
