"""What servers say, and what the program does then: against the sandbox's real doors, in this process.

anna@one.test sends; bert@two.test and carl@three.test receive, at providers that put everything into the inbox.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.scenarios.indoors import AMOS, ANNA, BERT, CARL, START, Stage, indoors
from warmup.ledger.mailboxes import Credential
from warmup.mail.answer import Refused, Reply
from warmup.policy.fate import Placement
from warmup.policy.mailbox import Protocol, Role
from warmup.policy.standing import Standing
from warmup.sandbox import Fault, FaultKind
from warmup.steps.aftermath import follow
from warmup.steps.errand import Sent, find_tests, send_test
from warmup.steps.judge import judge
from warmup.steps.observe import observe
from warmup.steps.plan import plan_today
from warmup.steps.send import send
from warmup.vault import KeyFile, Vault


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with indoors(tmp_path, seed="what servers say") as stage:
        yield stage


async def test_a_bounce_comes_home_once_suppresses_the_address_and_is_not_missing_too(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.found(circle)
        await plan_today(stage.ids[ANNA], circle)
        slot = await stage.send_to(circle, BERT, FaultKind.BOUNCE)
        stage.clock.raise_to(stage.clock.now() + timedelta(hours=1))
        assert stage.ids[ANNA] in await circle.ledger.sightings.due(stage.clock.now())
        await observe(stage.ids[ANNA], circle)
        assert await circle.ledger.standings.suppressed() == {BERT}
        assert 'warmup_bounces_total{cause="recipient_unknown",provider="two.test"} 1.0' in await stage.said(circle)

        # Whatever waits for bert lapses, and no other day is planned to him; carl is written to as before.
        await stage.whole_day(circle)
        await stage.whole_day(circle)
        rows = [row async for row in circle.ledger.export.messages()]
        assert {row["outcome"] for row in rows if row["recipient"] == BERT and row["slot"] > slot.id} <= {"lapsed"}
        assert {row["recipient"] for row in rows if row["date"] == "2026-01-06"} == {CARL}
        (bounced,) = [row for row in rows if row["slot"] == slot.id]
        assert bounced["placement"] == "missing"
        known = await circle.ledger.evidence.of(stage.ids[ANNA], since=START)
        assert slot.id not in {finding.slot_id for finding in known.findings}
        assert [heard.slot_id for heard in known.heard] == [slot.id]
        fleet = {one.mailbox.address: one for one in await circle.ledger.status.fleet(now=stage.clock.now())}
        assert "5.1.1" in str(fleet[BERT].suppressed)

    async with stage.circle() as circle:
        await observe(stage.ids[ANNA], circle)
        assert 'warmup_bounces_total{cause="recipient_unknown",provider="two.test"} 1.0' in await stage.said(circle)


REPORT = """Return-Path: <>
From: MAILER-DAEMON@one.test
To: {to}
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; one.test

Final-Recipient: rfc822; bert@two.test
Action: failed
Status: 5.1.1
Diagnostic-Code: smtp; 550 5.1.1 The email account that you tried to reach does not exist

--b
Content-Type: message/rfc822

From: anna@one.test
Message-ID: {message_id}

--b--
"""


@pytest.mark.parametrize("forgery", ["never signed", "another's"])
async def test_a_report_about_what_this_mailbox_never_sent_is_dropped(stage: Stage, forgery: str) -> None:
    async with stage.circle() as circle:
        await stage.found(circle)
        await stage.enrol(circle, AMOS, Role.SENDER)
        await plan_today(stage.ids[ANNA], circle)
        slot = await stage.send_next(circle)
        stranger, message_id = AMOS, slot.message_id
        if forgery == "never signed":
            stranger, message_id = ANNA, f"<{'a' * 32}@one.test>"
        await stage.put(stranger, REPORT.format(to=stranger, message_id=message_id))
        stage.clock.raise_to(stage.clock.now() + timedelta(minutes=5))
        await observe(stage.ids[stranger], circle)
        assert await circle.ledger.standings.suppressed() == frozenset()
        assert (await circle.ledger.evidence.of_domain("one.test", since=START)).heard == ()


@pytest.mark.parametrize(("action", "heard"), [("failed", 1), ("delayed", 0), ("relayed", 0)])
async def test_only_what_failed_counts_as_bounced(stage: Stage, action: str, heard: int) -> None:
    async with stage.circle() as circle:
        await stage.found(circle)
        await plan_today(stage.ids[ANNA], circle)
        slot = await stage.send_next(circle)
        report = REPORT.format(to=ANNA, message_id=slot.message_id).replace("Action: failed", f"Action: {action}")
        await stage.put(ANNA, report)
        await observe(stage.ids[ANNA], circle)
        known = await circle.ledger.evidence.of(stage.ids[ANNA], since=START)
        assert len(known.heard) == heard
        assert len(await circle.ledger.standings.suppressed()) == heard


async def test_what_was_seen_to_arrive_is_not_undone_by_a_report(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.found(circle)
        await plan_today(stage.ids[ANNA], circle)
        slot = await stage.send_next(circle)
        stage.clock.raise_to(stage.clock.now() + timedelta(hours=1))
        await observe(slot.recipient_id, circle)
        await stage.put(ANNA, REPORT.format(to=ANNA, message_id=slot.message_id))
        await observe(stage.ids[ANNA], circle)
        assert await circle.ledger.standings.suppressed() == frozenset()
        known = await circle.ledger.evidence.of(stage.ids[ANNA], since=START)
        assert (len(known.findings), known.heard) == (1, ())


async def test_a_complaint_counts_against_the_lane(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.found(circle)
        await plan_today(stage.ids[ANNA], circle)
        await stage.send_to(circle, BERT, FaultKind.COMPLAIN)
        stage.clock.raise_to(stage.clock.now() + timedelta(hours=2))
        await observe(stage.ids[ANNA], circle)
        await judge(stage.ids[ANNA], circle)
        said = await stage.said(circle)
        assert f'warmup_complaints_total{{mailbox="{ANNA}",provider="two.test"}} 1.0' in said
        lane = (await circle.ledger.standings.of(stage.ids[ANNA])).lanes["two.test"]
        assert lane.standing is not Standing.SOUND


async def test_an_answer_by_a_person_is_counted_and_its_message_not_answered_again(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.found(circle)
        await plan_today(stage.ids[ANNA], circle)
        slot = await stage.send_next(circle)
        stage.clock.raise_to(stage.clock.now() + timedelta(hours=1))
        await observe(slot.recipient_id, circle)
        until = stage.clock.now() + timedelta(days=1)
        assert len(await circle.ledger.history.answerable([slot.recipient_id], since=START, until=until)) == 1
        answer = f"From: {BERT}\nTo: {ANNA}\nMessage-ID: <1@two.test>\nIn-Reply-To: {slot.message_id}\n\nThank you!\n"
        await stage.put(ANNA, answer)
        await observe(stage.ids[ANNA], circle)
        assert await circle.ledger.history.answerable([slot.recipient_id], since=START, until=until) == ()
        assert f'warmup_replies_total{{mailbox="{ANNA}"}} 1.0' in await stage.said(circle)


async def test_a_used_up_limit_holds_the_whole_account_for_a_day(stage: Stage) -> None:
    over = Reply(code=550, status="5.4.5", text="Daily user sending limit exceeded")
    async with stage.circle() as circle:
        await stage.found(circle)
        await plan_today(stage.ids[ANNA], circle)
        await stage.send_to(circle, BERT, FaultKind.REFUSE, over)
        tried, at = len(stage.sandbox.record.receipts), stage.clock.now()
    async with stage.circle() as circle:
        await stage.whole_day(circle)
        assert len(stage.sandbox.record.receipts) == tried
        await stage.whole_day(circle)
        (first, *_) = stage.sandbox.record.receipts[tried:]
        assert first.at >= at + timedelta(hours=24)


async def test_an_organisations_used_up_limit_holds_all_its_mailboxes(stage: Stage) -> None:
    over = Reply(code=550, status="5.7.705", text="Access denied, tenant has exceeded threshold")
    async with stage.circle() as circle:
        await stage.found(circle)
        await stage.enrol(circle, AMOS, Role.SENDER)
        await plan_today(stage.ids[ANNA], circle)
        await stage.send_to(circle, BERT, FaultKind.REFUSE, over)
        tried, at = len(stage.sandbox.record.receipts), stage.clock.now()
        await stage.whole_day(circle)
        # The next morning is the other's first: it was told nothing itself, and waits all the same.
        assert len(stage.sandbox.record.receipts) == tried
        assert stage.clock.now() < at + timedelta(hours=24)
        await stage.whole_day(circle, AMOS)
        (first, *_) = stage.sandbox.record.receipts[tried:]
        assert first.at >= at + timedelta(hours=24)


async def test_an_address_that_is_not_wanted_holds_everybody_who_sends_by_it(stage: Stage) -> None:
    listed = Reply(code=553, status="5.7.1", text="[BL21] Connections not accepted from IP addresses on Spamhaus PBL")
    async with stage.circle() as circle:
        await stage.found(circle)
        await stage.enrol(circle, AMOS, Role.SENDER)
        await plan_today(stage.ids[ANNA], circle)
        slot = await stage.send_to(circle, BERT, FaultKind.REFUSE, listed)
        fleet = {one.mailbox.address: one.holds for one in await circle.ledger.status.fleet(now=stage.clock.now())}
        assert [(held.provider, held.of) for held in fleet[AMOS]] == [("two.test", "127.0.0.1")]
        before = await circle.ledger.holds.held_before(slot.account_id, "two.test", server="127.0.0.1")
        assert before is not None
        assert before >= timedelta(minutes=15)


async def test_what_was_on_its_way_when_a_hold_began_is_no_second_in_a_row(stage: Stage) -> None:
    listed = Reply(code=553, status="5.7.1", text="[BL21] Connections not accepted from IP addresses on Spamhaus PBL")
    async with stage.circle() as circle:
        await stage.found(circle)
        await plan_today(stage.ids[ANNA], circle)
        slot = await stage.send_to(circle, BERT, FaultKind.REFUSE, listed)
        anna, bert = await circle.mailbox(stage.ids[ANNA]), await circle.mailbox(stage.ids[BERT])
        # A fleet's messages that were handed over together are refused together.
        for _ in range(8):
            await follow(Refused(reply=listed), slot, anna, bert, circle)
        until = await circle.ledger.holds.held_until(slot.account_id, "two.test", server="127.0.0.1")
        assert until is not None
        assert until - stage.clock.now() <= timedelta(minutes=20)
        stage.clock.raise_to(until)
        await follow(Refused(reply=listed), slot, anna, bert, circle)
        again = await circle.ledger.holds.held_until(slot.account_id, "two.test", server="127.0.0.1")
        assert again is not None
        assert again - until >= timedelta(minutes=30)


async def test_a_rate_holds_its_lane_alone_and_twice_as_long_the_second_time(stage: Stage) -> None:
    slow_down = Reply(code=421, status="4.7.0", text="[TSS04] Messages temporarily deferred due to user complaints")
    async with stage.circle() as circle:
        await stage.found(circle)
        await plan_today(stage.ids[ANNA], circle)
        slot = await stage.send_to(circle, BERT, FaultKind.REFUSE, slow_down)
        held = circle.ledger.holds.held_before
        first = await held(slot.account_id, "two.test")
        assert first is not None
        assert first >= timedelta(minutes=15)
        assert await held(slot.account_id, "three.test") is None
        assert circle.narrow.is_narrow("127.0.0.1", stage.clock.elapsed())
        stage.sandbox.inject(Fault(kind=FaultKind.REFUSE, recipient=BERT, reply=slow_down))
        await stage.whole_day(circle)
        await stage.whole_day(circle)
        rows = [row async for row in circle.ledger.export.messages() if row["attempts"]]
        assert {row["outcome"] for row in rows if row["recipient"] == CARL} == {"accepted"}
        refused = [receipt for receipt in stage.sandbox.record.receipts if receipt.code == 421]
        assert [receipt.recipient for receipt in refused] == [BERT, BERT]
        assert refused[1].at >= refused[0].at + first


async def test_a_word_against_the_domain_brakes_every_mailbox_of_it(stage: Stage) -> None:
    unauthenticated = Reply(code=550, status="5.7.26", text="This mail is unauthenticated")
    async with stage.circle() as circle:
        await stage.found(circle)
        await stage.enrol(circle, AMOS, Role.SENDER)
        await judge(stage.ids[AMOS], circle)
        # The younger mailbox hears of it: the domain is judged at once, and not when its eldest is next.
        await plan_today(stage.ids[AMOS], circle)
        while (await stage.due(circle, AMOS))[0].recipient_id != stage.ids[BERT]:
            await stage.send_next(circle, AMOS)
        stage.sandbox.inject(Fault(kind=FaultKind.REFUSE, recipient=BERT, reply=unauthenticated))
        await stage.send_next(circle, AMOS)
        judged = await circle.ledger.standings.of(stage.ids[ANNA])
        assert judged.domain is not None
        assert judged.domain.standing is Standing.SLOWED
        assert "5.7.26" in judged.domain.reason
        stage.clock.raise_to(stage.clock.now() + timedelta(days=3))
        await judge(stage.ids[ANNA], circle)
        judged = await circle.ledger.standings.of(stage.ids[AMOS])
        assert judged.domain is not None
        assert not judged.domain.standing.is_braked


async def test_a_refused_login_is_tried_twice_and_not_again_after_a_restart(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.enrol(circle, ANNA, Role.SENDER, password="wrong")
        await stage.enrol(circle, BERT, Role.SEED)
        await plan_today(stage.ids[ANNA], circle)
        await stage.send_next(circle)
    for _ in range(4):
        # Every start forgets how long it meant to wait.
        async with stage.circle() as circle:
            await stage.send_next(circle)
            mailbox = await circle.mailbox(stage.ids[ANNA])
            assert stage.sandbox.record.refused_logins[ANNA] <= 2
    assert stage.sandbox.record.refused_logins[ANNA] == 2
    assert mailbox.problem is not None
    assert f"until `warmup mailbox check {ANNA}`" in mailbox.problem
    async with stage.circle() as circle:
        assert 'warmup_login_failures_total{mailbox="anna@one.test"' not in await stage.said(circle)
        doors, vault = stage.sandbox.doors(ANNA), Vault(KeyFile(path=stage.settings.vault.key_file).read())
        sealed = vault.seal(doors.password, mailbox=ANNA, protocol="smtp", host=doors.host)
        right = Credential(protocol=Protocol.SMTP, host=doors.host, sealed=sealed)
        await circle.ledger.mailboxes.set_credentials(stage.ids[ANNA], [right])
        await stage.send_next(circle)
        assert len(stage.sandbox.record.received) == 1
        assert (await circle.mailbox(stage.ids[ANNA])).problem is None


@pytest.mark.parametrize("refused", Protocol)
async def test_doors_that_open_at_once_forget_each_its_own_refusals(stage: Stage, refused: Protocol) -> None:
    async with stage.circle() as circle:
        who = await stage.enrol(circle, ANNA, Role.BOTH)
        await circle.ledger.logins.refused(who, refused, now=stage.clock.now())
        mailbox = await circle.mailbox(who)
        unseal, taken = circle.doors._unseal, circle.doors._taken
        assert taken is not None
        for protocol in (Protocol.SMTP, Protocol.IMAP):
            await unseal(mailbox, protocol)
        for protocol in (Protocol.IMAP, Protocol.SMTP):
            await taken(mailbox, protocol)
        assert await circle.ledger.logins.refusals(who) == {}


@pytest.mark.parametrize("refusals", [1, 2])
async def test_a_mended_password_is_tried_at_once_by_a_daemon_that_was_refused(stage: Stage, refusals: int) -> None:
    async with stage.circle() as circle:
        await stage.enrol(circle, ANNA, Role.SENDER, password="wrong")
        await stage.enrol(circle, BERT, Role.SEED)
        await plan_today(stage.ids[ANNA], circle)
        await stage.send_next(circle)
        if refusals == 2:
            # Its hour is over, and the second refusal is the last.
            circle.backoff.succeeded(stage.ids[ANNA], Protocol.SMTP)
            await stage.send_next(circle)
        await stage.send_next(circle)
        assert stage.sandbox.record.refused_logins[ANNA] == refusals
        doors, vault = stage.sandbox.doors(ANNA), Vault(KeyFile(path=stage.settings.vault.key_file).read())
        sealed = vault.seal(doors.password, mailbox=ANNA, protocol="smtp", host=doors.host)
        right = Credential(protocol=Protocol.SMTP, host=doors.host, sealed=sealed)
        await circle.ledger.mailboxes.set_credentials(stage.ids[ANNA], [right])
        await stage.send_next(circle)
        assert len(stage.sandbox.record.received) == 1
        assert stage.sandbox.record.refused_logins[ANNA] == refusals


async def test_a_check_that_logged_in_ends_the_wait_of_a_refused_login(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.enrol(circle, ANNA, Role.SENDER, password="wrong")
        await stage.enrol(circle, BERT, Role.SEED)
        await plan_today(stage.ids[ANNA], circle)
        await stage.send_next(circle)
        await stage.send_next(circle)
        assert stage.sandbox.record.refused_logins[ANNA] == 1
        # What a check does once both logins hold: its provider had locked the account, and no longer does.
        await circle.ledger.logins.forget(stage.ids[ANNA])
        await stage.send_next(circle)
        assert stage.sandbox.record.refused_logins[ANNA] == 2


async def test_two_units_that_knock_at_once_do_not_try_a_third_time(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.enrol(circle, ANNA, Role.SENDER, password="wrong")
        await stage.enrol(circle, BERT, Role.SEED)
        await plan_today(stage.ids[ANNA], circle)
        stage.clock.raise_to((await stage.due(circle))[0].due_at)
        await asyncio.gather(*(send(stage.ids[ANNA], circle) for _ in range(5)))
        assert stage.sandbox.record.refused_logins[ANNA] == 2


async def test_what_the_receiver_says_of_authentication_holds_the_lane_and_is_shown(stage: Stage) -> None:
    async with stage.circle() as circle:
        await stage.found(circle)
        for _ in range(5):
            await stage.whole_day(circle)
        await judge(stage.ids[ANNA], circle)
        lanes = (await circle.ledger.standings.of(stage.ids[ANNA])).lanes
        assert lanes["three.test"].standing is Standing.SOUND
        assert lanes["two.test"].standing is Standing.WATCHED
        assert lanes["two.test"].reason.startswith("DKIM fails at two.test (8 of the last 8)")
        said = await stage.said(circle)
        for method, share in (("spf", 1.0), ("dkim", 0.0), ("dmarc", 1.0)):
            labels = f'mailbox="{ANNA}",method="{method}",provider="two.test"'
            assert f"warmup_authentication_ratio{{{labels}}} {share}" in said
        assert 'provider="three.test"' not in said.split("# TYPE warmup_authentication_ratio gauge")[1]


async def test_a_test_that_a_rule_filed_elsewhere_is_found_there(stage: Stage) -> None:
    async with stage.circle() as circle:
        mailbox = await circle.mailbox(await stage.enrol(circle, ANNA, Role.BOTH))
        sent = await send_test(mailbox, mailbox, circle)
        assert isinstance(sent, Sent)
        stage.clock.raise_to(stage.clock.now() + timedelta(hours=2))
        await asyncio.to_thread(stage.file_all, ANNA, "Lists")
        looked = (await find_tests([sent], circle, patience=0.2))[sent.slot_id]
        assert looked.landed is not None
        assert (looked.landed.placement, looked.landed.folder) == (Placement.OTHER, "Lists")


async def test_a_test_that_is_nowhere_is_missing_yet_and_its_copy_in_sent_is_no_delivery(stage: Stage) -> None:
    async with stage.circle() as circle:
        mailbox = await circle.mailbox(await stage.enrol(circle, ANNA, Role.BOTH))
        sent = await send_test(mailbox, mailbox, circle)
        assert isinstance(sent, Sent)
        stage.clock.raise_to(stage.clock.now() + timedelta(hours=2))
        await asyncio.to_thread(stage.file_all, ANNA, "Sent")
        looked = (await find_tests([sent], circle, patience=0.2))[sent.slot_id]
        assert (looked.landed, looked.trouble) == (None, "")
        assert looked.seconds >= 0.2
