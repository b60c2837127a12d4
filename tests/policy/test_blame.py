"""What replies mean, by rules that are data: whose matter, what brakes, for how long, and what to do."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.answer import Reply
from warmup.mail.diagnostic import read_diagnostic
from warmup.mail.report import Kind, Reported
from warmup.mail.status import read_reply
from warmup.policy.blame import (
    Blame,
    Cause,
    Permanence,
    Scope,
    blame,
    blame_reported,
    cause_of,
    is_objection,
)
from warmup.policy.rulebook import advice_for, entries, rule_of, rules

OWN = Path(__file__).parents[1] / "corpus" / "replies.tsv"


def own_replies() -> list[tuple[str, str, str]]:
    """Cause, hardness and reply of our own list."""
    rows = (line.split("\t") for line in OWN.read_text("utf-8").splitlines() if line and not line.startswith("#"))
    return [(cause, hard, said.replace("\\n", "\n")) for cause, hard, said in rows]


def said(text: str) -> Blame:
    return blame(read_diagnostic(text))


@pytest.mark.parametrize(("cause", "hard", "reply"), own_replies())
def test_a_reply_of_any_make_means_what_it_says(cause: str, hard: str, reply: str) -> None:
    found = said(reply)
    assert found.cause.value == cause
    if hard != "-":
        assert found.hard == (hard == "yes")


@pytest.mark.parametrize(
    ("reply", "scope", "wait"),
    [
        ("550-5.4.5 Daily user sending limit exceeded", Scope.MAILBOX, timedelta(hours=24)),
        ("550 5.1.90 You've reached your daily limit for message recipients", Scope.MAILBOX, timedelta(hours=24)),
        ("550 5.7.705 Access denied, tenant has exceeded threshold", Scope.DOMAIN, timedelta(hours=24)),
        ("550 5.1.8 Access denied, bad outbound sender", Scope.MAILBOX, None),
        ("421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints", Scope.LANE, timedelta(hours=2)),
        ("421 4.7.0 [TSS05] Messages temporarily deferred", Scope.LANE, timedelta(hours=4)),
        ("421 4.7.28 Our system has detected an unusual rate of unsolicited mail", Scope.IP, timedelta(minutes=30)),
        ("554 5.7.1 Client host blocked using zen.spamhaus.org", Scope.IP, None),
        ("550 5.7.26 Unauthenticated email is not accepted due to domain's DMARC policy", Scope.DOMAIN, None),
        ("550 5.7.25 does not have a PTR record", Scope.IP, None),
        ("535 5.7.8 Username and Password not accepted", Scope.MAILBOX, None),
        ("450 4.2.1 is receiving mail too quickly", Scope.RECIPIENT, None),
        ("552 5.2.2 mailbox full", Scope.RECIPIENT, None),
        ("552 5.3.4 message too big", Scope.MESSAGE, None),
        ("421 4.7.0 Too many connections", Scope.LANE, None),
        ("[Errno 101] Network is unreachable", Scope.NETWORK, None),
        # Whose limit, whose account, whose address: what the words name, and no more, brakes.
        ("550 5.1.1 Recipient address rejected: User unknown in relay recipient table", Scope.RECIPIENT, None),
        ("451 4.5.1 The recipient <ben@garden.example> has exceeded their message rate limit", Scope.RECIPIENT, None),
        ("451 4.7.1 Rate limit exceeded for account ada@shop.example", Scope.MAILBOX, None),
        ("421 4.7.0 Too many messages from your account, retry later", Scope.MAILBOX, None),
        ("450 4.7.1 Outgoing mail limit for the mailbox has been reached", Scope.MAILBOX, None),
        ("554 5.7.1 Sender address rejected: Policy Rejection- Quota Exceeded", Scope.MAILBOX, None),
        ("553 5.7.1 Sender address rejected: not owned by user ada@shop.example", Scope.MAILBOX, None),
        ("554 5.1.8 Email Outgoing Blocked.", Scope.MAILBOX, None),
        ("550 5.7.1 Sender account has been suspended for sending spam", Scope.MAILBOX, None),
        ("535 5.7.0 (#AUTH005) Too many bad auth attempts.", Scope.MAILBOX, None),
        ("421 4.3.2 Your ip blocked from this server - nsmtp", Scope.IP, None),
        ("550 Access from ip address 198.51.100.7 blocked", Scope.IP, None),
        ("550 mail not accepted from blacklisted IP address [198.51.100.7]", Scope.IP, None),
        ("550 5.7.0 Your server IP address is in the Seznam.cz list, sorry", Scope.IP, None),
        ("553 5.7.1 [BL21] Connections will not be accepted from 198.51.100.7", Scope.IP, None),
        ("421 4.7.28 unusual rate of unsolicited mail from your DKIM domain", Scope.DOMAIN, timedelta(minutes=30)),
        ("550 5.4.5", Scope.MAILBOX, timedelta(hours=24)),
        (
            "421 4.7.28 unusual rate of unsolicited email containing one of your URL domains",
            Scope.DOMAIN,
            timedelta(minutes=30),
        ),
        ("421 4.7.1 Domain shop.example has exceeded the max emails per hour (9/8)", Scope.DOMAIN, timedelta(hours=1)),
        ("550 5.7.1 Domain is listed on DBL, see https://www.spamhaus.org/query/domain/x", Scope.DOMAIN, None),
        ("421 4.7.1 Your IP 198.51.100.7 has been throttled", Scope.IP, None),
        ("450 4.7.1 <mail.shop.example>: Helo command rejected: Host not found", Scope.IP, None),
        ("550 Access denied - Invalid HELO name (See RFC2821 4.1.1.1)", Scope.IP, None),
    ],
)
def test_what_brakes_and_for_how_long(reply: str, scope: Scope, wait: timedelta | None) -> None:
    found = said(reply)
    assert (found.scope, found.wait) == (scope, wait)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ("535 authentication failed", "app password"),
        ("535 5.7.8 bad credentials", "535"),
        ("534 5.7.9 Application-specific password required", "5.7.9"),
        ("421 closing transmission channel", "421"),
        ("421 4.7.0 try again later", "4.7.0"),
        ("421 4.7.28 unusual rate of mail", "4.7.28"),
        ("550 5.4.5 Daily sending quota exceeded", "5.4.5"),
        ("452 4.2.2 over quota", "4.2.2"),
        ("552 5.2.2 over quota", "5.2.2"),
        ("550 5.1.1 user unknown", "5.1.1"),
        ("550 5.7.1 refused by policy", "5.7.1"),
        ("550 5.7.26 unauthenticated email", "5.7.26"),
        ("550 5.7.25 no PTR record", "5.7.25"),
        ("550 5.7.515 Access denied", "5.7.515"),
        ("550 5.7.30 Basic authentication is not supported", "5.7.30"),
        ("554 no", "554"),
        ("552 no", "552"),
        ("452 too many messages today", "452"),
        ("[Errno 111] Connection refused", "587 with STARTTLS, then 465"),
        ("[Errno 101] Network is unreachable", "587, 465 or 2525"),
        ("connection to smtp.garden.example timed out", "587 with STARTTLS, then 465 with TLS, then 2525"),
        ("[Errno -2] Name or service not known", "587, 465 or 2525"),
        ("421 [TSS04] later", "two hours"),
        # Nothing but the number, as people type it.
        ("5.7.9", "5.7.9"),
        ("550 5.4.5", "5.4.5"),
        ("421 4.7.28", "4.7.28"),
        ("550 5.7.30", "5.7.30"),
        ("111", "(111)"),
        ("101", "(101)"),
        ("421 [TSS05] later", "four hours"),
    ],
)
def test_the_known_numbers_have_advice_of_their_own(reply: str, words: str) -> None:
    assert words in said(reply).advice


@pytest.mark.parametrize("cause", list(Cause))
def test_every_cause_has_advice(cause: Cause) -> None:
    sentence = advice_for("", cause.value)
    assert sentence[0].isupper()
    assert sentence.endswith(".")


def test_every_rule_speaks_the_contracts_words_and_names_its_source() -> None:
    assert len(rules()) == len(entries()) > 80
    for entry in entries():
        rule = rule_of(entry)
        assert rule.source
        assert rule.pattern or rule.status or rule.code, entry
        Cause(rule.cause)
        assert rule.scope is None or Scope(rule.scope)
        assert advice_for(rule.advice, rule.cause)
        assert not rule.hard or rule.cause in ("recipient_unknown", "relay"), entry
        assert not rule.greylisted or rule.cause == "rate", entry


def test_a_rule_with_a_word_nobody_knows_is_refused() -> None:
    with pytest.raises(TypeError):
        rule_of({"cause": "rate", "source": "x", "patern": "typo"})


@pytest.mark.parametrize(
    ("reply", "action", "permanence"),
    [
        (Reply(code=450, status="5.1.1"), None, Permanence.TRANSIENT),  # RFC 2034 4: the reply code is believed
        (Reply(code=550), None, Permanence.PERMANENT),
        (Reply(code=-1, status="4.4.1"), "failed", Permanence.TRANSIENT),
        (Reply(code=-1), "failed", Permanence.PERMANENT),
        (Reply(code=-1), "delayed", Permanence.TRANSIENT),
        (Reply(code=-1), None, Permanence.UNKNOWN),
    ],
)
def test_how_long_it_lasts(reply: Reply, action: str | None, permanence: Permanence) -> None:
    assert blame(reply, action=action).permanence is permanence


def test_what_no_rule_knows_brakes_the_lane() -> None:
    found = said("599 zzz")
    assert (found.cause, found.scope, found.hard) == (Cause.UNKNOWN, Scope.LANE, False)


def test_taken_mail_blames_nobody() -> None:
    found = said("250 2.1.5 Ok: mailbox unavailable is only said in jest")
    assert (found.cause, found.hard, found.advice) == (Cause.UNKNOWN, False, advice_for("accepted", "unknown"))


@pytest.mark.parametrize(
    ("kind", "action", "cause"),
    [
        (Kind.BOUNCE, "failed", Cause.RECIPIENT_UNKNOWN),
        (Kind.BOUNCE, "relayed", Cause.UNKNOWN),
        (Kind.COMPLAINT, None, Cause.REPUTATION),
        (Kind.AUTO_REPLY, None, Cause.UNKNOWN),
        (Kind.DELIVERED, "delivered", Cause.UNKNOWN),
    ],
)
def test_only_a_bounce_is_blamed_for_its_reply(kind: Kind, action: str | None, cause: Cause) -> None:
    reported = Reported(address="ben@garden.example", action=action, reply=Reply(code=550, status="5.1.1"))
    found = blame_reported(kind, reported)
    assert found.cause is cause
    assert found.hard == (cause is Cause.RECIPIENT_UNKNOWN)


@pytest.mark.parametrize(
    ("reply", "objects"),
    [
        (None, False),
        (Reply(code=250, text="Ok"), False),
        (Reply(code=-1, text="blocked as spam"), False),
        (Reply(code=550, status="5.7.1", text="Message rejected as spam"), True),
        (Reply(code=421, status="4.7.0", text="try again later"), True),
        (Reply(code=421, status="4.7.28", text="unusual rate of mail"), True),
        (Reply(code=550, status="5.7.26", text="unauthenticated"), True),
        (Reply(code=450, status="4.2.0", text="Greylisted"), False),
        (Reply(code=451, status="4.7.1", text="Greylisting in action"), False),
        (Reply(code=550, status="5.4.5", text="Daily user sending limit exceeded"), False),
        (Reply(code=452, status="4.2.2", text="mailbox full"), False),
        (Reply(code=550, status="5.1.1", text="user unknown"), False),
        (Reply(code=535, status="5.7.8", text="bad credentials"), False),
        (Reply(code=554, status="5.7.1", text="Relay access denied"), False),
        (Reply(code=421, status="4.4.2", text="timeout"), False),
    ],
)
def test_only_what_receivers_hold_against_us_is_an_objection(reply: Reply | None, *, objects: bool) -> None:
    assert is_objection(reply) is objects


@given(
    st.integers(-1, 599), st.none() | st.from_regex(r"[245]\.\d{1,3}\.\d{1,3}", fullmatch=True), st.text(max_size=300)
)
def test_every_reply_gets_a_cause_and_advice(code: int, status: str | None, text: str) -> None:
    reply = Reply(code=code, status=status, text=text)
    found = blame(reply)
    assert found.advice
    assert cause_of(reply) == found.cause.value
    assert not found.greylisted or not is_objection(reply)


def test_a_login_that_could_not_be_checked_does_not_ask_for_another_password() -> None:
    said = blame(read_reply("454 4.7.0 Temporary authentication failure: Connection lost to authentication server"))
    assert (said.cause, said.scope, said.permanence) == (Cause.SYSTEM, Scope.MAILBOX, Permanence.TRANSIENT)
    assert "change nothing" in said.advice
