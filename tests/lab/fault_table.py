"""The faults, one by one: the reply that shows each, its cause and scope, and what the daemon has to do about it.

What it did is read from its exports and its log, and held against what the servers wrote down. A check gives words for
the table, None as long as there is nothing to be seen, and fails where something else is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from tests.lab.fault_stage import (
    CROWDED,
    CROWDED_TOO,
    CUT_AFTER,
    CUT_IN,
    DOUBTED,
    ELSEWHERE,
    GREY,
    HURRIED,
    LIMITED,
    LOCKED_OUT,
    RENUMBERED,
    SLOW,
    WORDY,
    Look,
)
from tests.lab.layout import FULL, GERMAN, GERMAN_JUNK, GONE, UNKNOWN
from tests.lab.program import Row, instant


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One fault: the reply that shows it and what follows, both None until they are to be seen.

    `or_else` is another cause and scope, where the server may say it in another way as well.
    """

    name: str
    cause: str
    scope: str
    reply: Callable[[Look], str | None]
    did: Callable[[Look], str | None]
    or_else: tuple[str, str] | None = None


def _first_reply(rows: list[Row]) -> str | None:
    return next((f"{row['reply_code']} {row['status']} {row['reply']}" for row in rows if row["reply"]), None)


def refused(code: int, status: str, **where: str) -> Callable[[Look], str | None]:
    """The reply a message was refused or deferred with."""
    return lambda look: _first_reply(look.sent(reply_code=code, status=status, **where))


def shut(mailbox: str, words: str) -> Callable[[Look], str | None]:
    """What the mailbox's door said when it stayed shut."""
    return lambda look: next((fact.words["error"] for fact in look.shut(mailbox, words)), None)


def gave_up_the_login(look: Look) -> str | None:
    tries = look.stage.lab.failed_logins(LOCKED_OUT)
    if not look.of(LOCKED_OUT, "login given up"):
        return None
    assert tries <= 2, f"{tries} wrong passwords were tried"
    return f"gave the login up after {tries} tries and raised an alert"


def suppressed(address: str, event: str) -> Callable[[Look], str | None]:
    def did(look: Look) -> str | None:
        told = [fact for fact in look.facts if fact.event == event and fact.words.get("suppressed") != "False"]
        if event == "suppressed":
            told = [fact for fact in told if fact.words["mailbox"] == look.stage.ids[address]]
        if not told:
            return None
        before = len([row for row in look.sent(to=address) if row["claimed_at"]])
        return f"suppressed the address after {before} message{'s' if before > 1 else ''}"

    return did


def kept_the_address(look: Look) -> str | None:
    """A full mailbox is written to again another time, and is no reason to give the address up."""
    if len([row for row in look.sent(to=FULL) if row["claimed_at"]]) < 2:
        return None
    assert look.of(FULL, "suppressed") == []
    return "gave the message up, kept the address"


def refused_once(look: Look) -> str | None:
    rows = look.sent(by=WORDY, outcome="refused", status="5.3.4")
    if len(rows) < 2:
        return None
    for row in rows:
        # Greylisted it may have been before.
        assert [each["reply_code"] for each in look.tries(row)].count(552) == 1
    assert [fact for fact in look.of(WORDY, "held") if fact.words["status"] == "5.3.4"] == []
    return "gave the message up at once, held nobody"


def held_for_a_while(look: Look) -> str | None:
    told = [fact for fact in look.facts if fact.event == "held" and fact.words["cause"] == "relay"]
    return "held the account for a while, and told why" if told else None


def held_for_a_day(look: Look) -> str | None:
    told = [fact for fact in look.of(LIMITED, "held") if fact.words["status"] == "5.4.5"]
    rows = look.sent(by=LIMITED, status="5.4.5")
    if not told or not rows:
        return None
    refused_at = min(instant(row["outcome_at"]) for row in rows)
    until_at = max(instant(fact.words["until"]) for fact in told)
    assert until_at - refused_at >= timedelta(hours=24)
    assert {fact.words["lane"] for fact in told} <= {"", "None", "null"}
    claims = [instant(row["claimed_at"]) for row in look.sent(by=LIMITED) if row["claimed_at"]]
    assert not [at for at in claims if refused_at < at < until_at]
    return f"held the account for {(until_at - refused_at) / timedelta(hours=1):.0f} hours"


def tried_again_and_got_in(look: Look) -> str | None:
    for row in look.sent(to=GREY, outcome="accepted"):
        tries = look.tries(row)
        if len(tries) > 1 and tries[0]["reply_code"] == 451:
            waited = instant(tries[1]["claimed_at"]) - instant(tries[0]["outcome_at"])
            assert [fact for fact in look.of(row["mailbox"], "held") if fact.words["code"] == "451"] == []
            return f"tried the same message again after {waited / timedelta(minutes=1):.0f} min, and it was taken"
    return None


def slowed_down(look: Look) -> str | None:
    told = [fact for fact in look.of(HURRIED, "held") if fact.words["code"] == "450"]
    rows = look.sent(by=HURRIED, reply_code=450)
    if not told or not rows:
        return None
    row = min(rows, key=lambda row: instant(row["outcome_at"]))
    refused_at, until_at = instant(row["outcome_at"]), instant(told[0].words["until"])
    assert told[0].words["lane"] == row["provider"]
    assert until_at - refused_at >= timedelta(minutes=15)
    claims = [
        instant(each["claimed_at"]) for each in look.sent(by=HURRIED, provider=row["provider"]) if each["claimed_at"]
    ]
    assert not [at for at in claims if refused_at < at < until_at]
    return f"held the lane for {(until_at - refused_at) / timedelta(minutes=1):.0f} min, its other lanes not"


def made_room(look: Look) -> str | None:
    said = [fact for each in (CROWDED, CROWDED_TOO) for fact in look.shut(each, "421 4.7.0")]
    both = [look.sent(by=each, outcome="accepted") for each in (CROWDED, CROWDED_TOO)]
    return "fell to one connection at a time; both mailboxes sent" if said and all(both) else None


def uncertain_and_missing(look: Look) -> str | None:
    if look.stage.cutters[CUT_IN].cuts != 1:
        return None
    for row in look.sent(by=CUT_IN, outcome="uncertain", placement="missing"):
        assert [each["outcome"] for each in look.tries(row)][-1:] == ["uncertain"]
        assert row["message_id"] not in {each.message_id for each in look.stage.lab.postfix_log()}
        return "uncertain, not sent again, found missing"
    return None


def uncertain_and_found(look: Look) -> str | None:
    if look.stage.cutters[CUT_AFTER].cuts != 1:
        return None
    for row in look.sent(by=CUT_AFTER, outcome="accepted", outcome_source="sighting"):
        assert [each["outcome"] for each in look.tries(row)][-1:] == ["uncertain"]
        assert [each.message_id for each in look.stage.lab.postfix_log()].count(row["message_id"]) == 1
        return "uncertain, not sent again, found: accepted"
    return None


def came_back(mailbox: str, words: str) -> Callable[[Look], str | None]:
    def did(look: Look) -> str | None:
        told = look.shut(mailbox, words)
        sent = look.sent(by=mailbox, outcome="accepted")
        return f"left it alone for {told[0].words['wait_seconds']} s, came back and sent" if told and sent else None

    return did


def said_nothing(kind: str) -> Callable[[Look], str | None]:
    def did(look: Look) -> str | None:
        sender = DOUBTED[kind]
        told = look.shut(sender, "certificate")
        if len(told) < 2:
            return None
        code, said = look.stage.checks[kind]
        assert (code, said.count("error: ")) == (69, 1)
        log = look.stage.lab.layout.maillog.read_text(errors="replace")
        sessions = [line for line in log.splitlines() if f"postfix/{kind}/" in line]
        assert sessions
        assert not [line for line in sessions if "sasl_" in line]
        assert [row for row in look.sent(by=sender) if row["claimed_at"]] == []
        return "said no word of login, claimed nothing; `mailbox check` ends with 69"

    return did


def looked_again(look: Look) -> str | None:
    recipients = {str(row["slot"]): look.stage.ids.get(row["recipient"]) for row in look.messages}
    for cut in look.lost_imap:
        for later in (fact for fact in look.facts if fact.at > cut.at):
            # A message is handed over only where the sender's own folders were read before.
            sent = later.event == "attempt" and later.words["mailbox"] == cut.words["mailbox"]
            if sent or (later.event == "sighting" and recipients.get(later.words["slot"]) == cut.words["mailbox"]):
                return f"left it alone for {cut.words['wait_seconds']} s, came back, read and went on"
    return None


def read_anew(look: Look) -> str | None:
    """All that came after the folder was made anew, its UIDs from 1 on."""
    if len(set(look.stage.numbered)) < 2:
        return None
    arrived = {each.message_id for each in look.stage.lab.mail(RENUMBERED)}
    ours = [row for row in look.sent(to=RENUMBERED, outcome="accepted") if row["message_id"] in arrived]
    slots = [f.words["slot"] for f in look.facts if f.event == "sighting" and f.words.get("stage") == "first"]
    assert [row for row in ours if slots.count(str(row["slot"])) > 1] == []
    is_all_seen = all(row["placement"] in ("inbox", "spam") for row in ours)
    return "read the folder from its start; each message was sighted once" if len(ours) >= 2 and is_all_seen else None


def found_the_junk_folder(look: Look) -> str | None:
    rows = look.sent(to=GERMAN, placement="spam")
    assert {row["folder"] for row in rows} <= {GERMAN_JUNK}
    return f"took {GERMAN_JUNK} for the junk folder by its name: spam was seen there" if rows else None


FAULTS = [
    Fault(
        name="wrong password",
        cause="credentials",
        scope="mailbox",
        reply=lambda look: next((f.words["error"] for f in look.of(LOCKED_OUT, "login refused")), None),
        did=gave_up_the_login,
    ),
    Fault(
        name="unknown recipient",
        cause="recipient_unknown",
        scope="recipient",
        reply=refused(550, "5.1.1", to=UNKNOWN),
        did=suppressed(UNKNOWN, "suppressed"),
    ),
    Fault(
        name="full mailbox",
        cause="recipient_full",
        scope="recipient",
        reply=refused(552, "5.2.2", to=FULL),
        did=kept_the_address,
    ),
    Fault(
        name="message too big",
        cause="content",
        scope="message",
        reply=refused(552, "5.3.4", by=WORDY),
        did=refused_once,
    ),
    Fault(
        name="relay denied",
        cause="relay",
        scope="mailbox",
        reply=refused(554, "5.7.1", to=ELSEWHERE),
        did=held_for_a_while,
    ),
    Fault(
        name="daily limit reached",
        cause="rate",
        scope="mailbox",
        reply=refused(550, "5.4.5", by=LIMITED),
        did=held_for_a_day,
    ),
    Fault(
        name="greylisting",
        cause="rate",
        scope="message",
        reply=lambda look: next((no.answer for no in look.stage.lab.provider.refused() if no.recipient == GREY), None),
        did=tried_again_and_got_in,
    ),
    Fault(
        name="rate limit, in a session",
        cause="rate",
        scope="lane",
        reply=refused(450, "4.7.1", by=HURRIED),
        did=slowed_down,
    ),
    Fault(
        name="rate limit, at the door",
        cause="rate",
        scope="lane",
        reply=lambda look: shut(CROWDED, "421 4.7.0")(look) or shut(CROWDED_TOO, "421 4.7.0")(look),
        did=made_room,
    ),
    Fault(
        name="delivery report, later",
        cause="recipient_unknown",
        scope="recipient",
        reply=lambda look: next(
            (
                f"{d.dsn} {d.reply}"
                for d in look.stage.lab.postfix_log()
                if d.status == "bounced" and "nobody" in d.recipient
            ),
            None,
        ),
        did=suppressed(GONE, "report"),
    ),
    Fault(
        name="connection cut inside DATA",
        cause="network",
        scope="network",
        reply=lambda look: next((f.words["reason"] for f in look.of(CUT_IN, "attempt") if "reason" in f.words), None),
        did=uncertain_and_missing,
    ),
    Fault(
        name="connection cut after the final dot",
        cause="network",
        scope="network",
        reply=lambda look: next(
            (f.words["reason"] for f in look.of(CUT_AFTER, "attempt") if "reason" in f.words), None
        ),
        did=uncertain_and_found,
    ),
    Fault(
        name="slow server",
        cause="network",
        scope="network",
        reply=shut(SLOW, "silent|answer"),
        did=came_back(SLOW, "silent|answer"),
    ),
    *(
        Fault(
            name=f"certificate, {kind.replace('_', ' ')}",
            cause="network",
            scope="network",
            reply=shut(DOUBTED[kind], word),
            did=said_nothing(kind),
        )
        for kind, word in (("expired", "expired"), ("self_signed", "self|issuer"), ("wrong_name", "mismatch"))
    ),
    Fault(
        name="IMAP restart in mid-session",
        cause="network",
        scope="network",
        reply=lambda look: next((fact.words["error"] for fact in look.lost_imap), None),
        did=looked_again,
        # Cut off without a word, or told that it goes down.
        or_else=("system", "lane"),
    ),
    Fault(name="changed UIDVALIDITY", cause="", scope="", reply=lambda look: _numbers(look), did=read_anew),
    Fault(
        name="localised junk folder, no SPECIAL-USE",
        cause="",
        scope="",
        reply=lambda look: f"LIST () {GERMAN_JUNK}",
        did=found_the_junk_folder,
    ),
]


def _numbers(look: Look) -> str | None:
    numbered = look.stage.numbered
    return f"[UIDVALIDITY {numbered[0]}] became {numbered[-1]}" if len(set(numbered)) > 1 else None
