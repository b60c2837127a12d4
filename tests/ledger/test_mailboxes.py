"""Enrolment: one row per account, secrets only sealed, a hand's pause stays, and what leaves when a mailbox goes."""

from dataclasses import replace
from datetime import time, timedelta

import pytest

from tests.ledger.conftest import HOUR, MINUTE, NOW, World, new_day, new_mailbox
from warmup.ledger import Ledger, schema
from warmup.ledger.enrolled import account_key
from warmup.ledger.errors import DuplicateMailbox, UnknownMailbox
from warmup.ledger.mailboxes import Credential, PausedBy, SealedGrant
from warmup.ledger.tables import metadata
from warmup.mail.address import parse_address
from warmup.policy.authority import AuthorityName
from warmup.policy.fate import Placement
from warmup.policy.mailbox import Hours, Protocol, Role, SmtpAuth, State

SECRET = Credential(protocol=Protocol.SMTP, host="127.0.0.1", sealed=b"sealed bytes")
GRANT = SealedGrant(authority=AuthorityName.GOOGLE, host="login.test", sealed=b"sealed grant")


async def test_a_mailbox_comes_back_as_it_was_enrolled(ledger: Ledger) -> None:
    hours = Hours(days=frozenset({0, 6}), start=time(7, 30), end=time(20))
    new = new_mailbox(
        "Ann@Send.Test", name="Ann", role=Role.SENDER, target=30, timezone="Asia/Tokyo", hours=hours,
        engage=True, tags=frozenset({"b", "a"}), junk_folder="Junk", sent_folder="Sent", trash_folder="Trash",
    )  # fmt: skip
    added = await ledger.mailboxes.add(new, [SECRET])
    for name in ("address", "name", "role", "target", "timezone", "hours", "smtp", "imap", "engage", "tags"):
        assert getattr(added, name) == getattr(new, name)
    assert (added.junk_folder, added.sent_folder, added.trash_folder) == ("Junk", "Sent", "Trash")
    assert (added.enrolled_at, added.verified_at, added.state) == (NOW, NOW, State.ACTIVE)
    assert await ledger.mailboxes.get("ann@send.test") == added
    assert await ledger.mailboxes.credentials(added.id) == {Protocol.SMTP: SECRET}


@pytest.mark.parametrize(
    ("address", "username"),
    [
        ("ANN@send.test", "other@send.test"),
        ("alias@send.test", "ann@send.test"),
        ("alias@send.test", "Ann+news@SEND.test"),
    ],
)
async def test_an_address_or_account_is_enrolled_once_under_whatever_name(
    world: World, address: str, username: str
) -> None:
    new = new_mailbox(address, username=username)
    assert await world.ledger.mailboxes.duplicate_of(new) == "ann@send.test"
    with pytest.raises(DuplicateMailbox) as refused:
        await world.ledger.mailboxes.add(new, [SECRET])
    assert (refused.value.address, refused.value.of) == (address, "ann@send.test")
    assert len(await world.ledger.mailboxes.list()) == 3


async def test_an_address_is_found_by_either_spelling_of_its_domain(ledger: Ledger) -> None:
    added = await ledger.mailboxes.add(new_mailbox(parse_address("ann@bücher.test")))
    for spelled in ("ann@xn--bcher-kva.test", "Ann@BÜCHER.test"):
        assert await ledger.mailboxes.get(spelled) == added
    with pytest.raises(UnknownMailbox):
        await ledger.mailboxes.get("no address")


def test_the_same_user_name_at_another_host_is_another_account() -> None:
    assert account_key("a.test", "ann@send.test") != account_key("b.test", "ann@send.test")
    assert account_key("A.test.", "+ann@send.test") == account_key("a.test", "+ANN@send.test")


async def test_an_import_with_one_duplicate_saves_nothing(ledger: Ledger) -> None:
    many = [(new_mailbox(address), [SECRET]) for address in ("a@x.test", "b@x.test", "A@x.test")]
    with pytest.raises(DuplicateMailbox):
        await ledger.mailboxes.add_all(many)
    assert await ledger.mailboxes.list() == ()


async def test_an_unknown_address_is_said_to_be_unknown(ledger: Ledger) -> None:
    with pytest.raises(UnknownMailbox, match=r"nobody@x\.test"):
        await ledger.mailboxes.get("nobody@x.test")


async def test_changes_are_saved_and_an_account_of_another_is_refused(world: World) -> None:
    mailbox = replace(world.sender, target=12, daily_limit=99, tags=frozenset({"new"}))
    assert await world.ledger.mailboxes.save(mailbox, [SECRET]) == mailbox
    assert await world.ledger.mailboxes.tagged("new") == (mailbox,)
    with pytest.raises(DuplicateMailbox):
        await world.ledger.mailboxes.save(replace(mailbox, username=world.seeds[0].username, target=1))
    assert await world.ledger.mailboxes.by_id(mailbox.id) == mailbox


async def test_a_domains_mailboxes_are_its_own(world: World) -> None:
    beside = await world.ledger.mailboxes.add(new_mailbox("abe@send.test"))
    assert set(await world.ledger.mailboxes.of_domain("send.test")) == {world.sender, beside}
    assert await world.ledger.mailboxes.of_domain("nowhere.test") == ()


async def test_a_pause_by_hand_is_never_lifted_by_the_program(world: World) -> None:
    mailboxes, ids = world.ledger.mailboxes, [world.sender.id]
    assert await mailboxes.pause(ids, by=PausedBy.PROGRAM) == 1
    assert await mailboxes.pause(ids, by=PausedBy.HAND) == 1
    assert await mailboxes.resume(ids, by=PausedBy.PROGRAM) == 0
    assert (await mailboxes.get("ann@send.test")).state is State.PAUSED
    assert await mailboxes.resume(ids) == 1
    assert (await mailboxes.get("ann@send.test")).state is State.ACTIVE


async def test_a_mailbox_that_never_logged_in_is_unverified(ledger: Ledger) -> None:
    added = await ledger.mailboxes.add(new_mailbox("new@x.test", verified_at=None))
    assert added.state is State.UNVERIFIED
    assert (await ledger.mailboxes.save(replace(added, verified_at=NOW))).state is State.ACTIVE


async def test_a_problem_is_news_once(world: World) -> None:
    mailboxes, who = world.ledger.mailboxes, world.sender.id
    assert await mailboxes.note_problem(who, "wrong password", now=NOW)
    assert not await mailboxes.note_problem(who, "wrong password", now=NOW + HOUR)
    assert (await mailboxes.get("ann@send.test")).problem == "wrong password"
    assert await mailboxes.clear_problem(who)
    assert not await mailboxes.clear_problem(who)


async def test_a_removed_mailbox_keeps_its_history_and_loses_its_secrets(world: World) -> None:
    await world.ledger.mailboxes.set_credentials(world.seeds[0].id, [SECRET])
    to_bob, to_eve, waiting = await world.plan(3)
    await world.send(to_bob)
    await world.send(to_eve)
    await world.ledger.mailboxes.remove(world.seeds[0].id, now=NOW + HOUR)

    assert [mailbox.address for mailbox in await world.ledger.mailboxes.list()] == ["ann@send.test", "eve@two.test"]
    assert await world.ledger.mailboxes.credentials(world.seeds[0].id) == {}
    rows = {row["slot"]: row async for row in world.ledger.export.messages()}
    assert rows[to_bob.id]["placement"] == "unobserved"
    assert rows[to_bob.id]["recipient"] == "bob@one.test"
    assert (rows[to_eve.id]["placement"], rows[waiting.id]["outcome"]) == (None, "lapsed")
    # Eve's message is awaited, and ann's inbox may still receive a report.
    assert await world.ledger.sightings.due(NOW + 99 * HOUR) == (world.seeds[1].id, world.sender.id)


async def test_a_removed_address_may_be_enrolled_again(world: World) -> None:
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW)
    again = await world.ledger.mailboxes.add(new_mailbox("ann@send.test"))
    assert again.id != world.sender.id
    assert again.account_id == world.sender.account_id


async def test_a_purge_leaves_nothing_that_names_the_mailbox(world: World) -> None:
    first, second, third = await world.plan(3)
    await world.send(first)
    await world.see(first, Placement.INBOX, NOW + HOUR)
    await world.claim(second)
    answer = world.new_slot(1, NOW + HOUR, world.sender, in_reply_to=first.id, thread_id=first.thread_id)
    other = await world.ledger.mailboxes.add(new_mailbox("kim@one.test", tags=frozenset({"kept"})))
    day = (await world.ledger.history.of(world.sender.id))[0]
    assert day.accepted == 1
    await world.ledger.slots.record(world.seeds[0].id, new_day(NOW, target=1), [answer], now=NOW)
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW + HOUR, purge=True)

    rows = [row async for row in world.ledger.export.messages()]
    assert [(row["mailbox"], row["recipient"], row["in_reply_to"]) for row in rows] == [
        ("bob@one.test", f"purged-{world.sender.id}", None)
    ]
    assert (await world.ledger.turns.to_send(world.sender.id, third.due_at + 99 * HOUR)).due == ()
    assert await world.ledger.history.of(world.sender.id) == ()
    assert await world.recover(NOW + HOUR) == 0
    assert await world.ledger.mailboxes.by_id(other.id) == other
    assert schema.inspect(world.url) == ()
    for table in metadata.tables:
        # The account stays: it is what its limit's uses are kept for.
        if table != "accounts":
            assert "ann@send.test" not in str(await world.rows(f"SELECT * FROM {table}")), table


async def test_uses_of_a_purged_mailbox_are_counted_at_their_own_instants(world: World) -> None:
    (slot,) = await world.plan(1)
    await world.send(slot)
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW + 20 * HOUR, purge=True)
    used = world.ledger.attempts.used
    assert await used(world.sender, now=NOW + 24 * HOUR, margin=5 * MINUTE) == 1
    assert await used(world.sender, now=NOW + timedelta(hours=24, minutes=5), margin=5 * MINUTE) == 0


async def test_a_relay_keeps_no_secret_of_the_door_that_takes_none(ledger: Ledger) -> None:
    imap = Credential(protocol=Protocol.IMAP, host="127.0.0.1", sealed=b"other bytes")
    added = await ledger.mailboxes.add(new_mailbox("ann@send.test"), [SECRET, imap])
    assert added.smtp_auth is SmtpAuth.PASSWORD
    relayed = await ledger.mailboxes.save(replace(added, smtp_auth=SmtpAuth.NONE))
    assert relayed.smtp_auth is SmtpAuth.NONE
    assert (await ledger.mailboxes.get("ann@send.test")).smtp_auth is SmtpAuth.NONE
    assert await ledger.mailboxes.credentials(added.id) == {Protocol.IMAP: imap}


async def test_a_grant_takes_the_place_of_passwords_and_they_of_it(world: World) -> None:
    mailboxes, who, other = world.ledger.mailboxes, world.sender.id, world.seeds[0].id
    await mailboxes.set_credentials(other, [SECRET])
    await mailboxes.set_credentials(who, [SECRET, replace(SECRET, protocol=Protocol.IMAP)])
    await mailboxes.set_credentials(who, [GRANT])
    assert (await mailboxes.credentials(who), await mailboxes.grant(who)) == ({}, GRANT)
    assert await mailboxes.sign_in(who) == "google"
    theirs = replace(GRANT, authority=AuthorityName.MICROSOFT)
    await mailboxes.set_credentials(who, [theirs])
    assert await mailboxes.grant(who) == theirs
    await mailboxes.set_credentials(who, [SECRET])
    assert (await mailboxes.credentials(who), await mailboxes.grant(who)) == ({Protocol.SMTP: SECRET}, None)
    assert await mailboxes.sign_in(who) == "password"
    assert await mailboxes.credentials(other) == {Protocol.SMTP: SECRET}


async def test_a_rotated_grant_takes_only_the_place_of_the_one_it_came_from(world: World) -> None:
    mailboxes, who = world.ledger.mailboxes, world.sender.id
    await mailboxes.set_credentials(who, [GRANT])
    rotated = replace(GRANT, sealed=b"rotated")
    assert await mailboxes.rotate_grant(who, GRANT, rotated)
    assert not await mailboxes.rotate_grant(who, GRANT, replace(GRANT, sealed=b"too late"))
    theirs = replace(rotated, authority=AuthorityName.MICROSOFT)
    assert not await mailboxes.rotate_grant(who, theirs, replace(GRANT, sealed=b"another authority's"))
    assert not await mailboxes.rotate_grant(world.seeds[0].id, rotated, replace(GRANT, sealed=b"another's"))
    assert await mailboxes.grant(who) == rotated


async def test_a_removed_mailbox_loses_its_grant(world: World) -> None:
    await world.ledger.mailboxes.set_credentials(world.sender.id, [GRANT])
    await world.ledger.mailboxes.remove(world.sender.id, now=NOW + HOUR)
    assert await world.ledger.mailboxes.grant(world.sender.id) is None
    assert await world.ledger.mailboxes.sign_in(world.sender.id) is None
