"""Who is held after a server's word, and for how long."""

import random
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warmup.mail.answer import Reply
from warmup.policy.blame import Blame, Cause, Permanence, Scope, blame
from warmup.policy.consequence import (
    ACCOUNT,
    BLOCKED,
    DOMAIN,
    DOMAIN_LANE,
    FIRST,
    LANE,
    LONGEST,
    SERVER_LANE,
    STRETCH,
    Reach,
    pause,
    reach,
    wants_one_connection,
)

WAITS = st.none() | st.timedeltas(timedelta(minutes=1), timedelta(days=2))
BLAMES = st.builds(
    Blame,
    cause=st.sampled_from(Cause),
    scope=st.sampled_from(Scope),
    permanence=st.sampled_from(Permanence),
    hard=st.booleans(),
    advice=st.just(""),
    wait=WAITS,
    greylisted=st.booleans(),
)
UNUSUAL = Reply(code=421, status="4.7.28", text="Our system has detected an unusual rate of unsolicited mail")
REPLIES = st.sampled_from([UNUSUAL, Reply(code=550, status="5.4.5"), Reply(code=451, status="4.3.0"), Reply(code=-1)])


def found(cause: Cause, scope: Scope, *, wait: timedelta | None = None) -> Blame:
    return Blame(cause=cause, scope=scope, permanence=Permanence.TRANSIENT, hard=False, advice="", wait=wait)


@pytest.mark.parametrize(
    ("reply", "held"),
    [
        (Reply(code=550, status="5.4.5", text="Daily user sending limit exceeded"), ACCOUNT),
        (Reply(code=550, status="5.7.705", text="Access denied, tenant has exceeded threshold"), DOMAIN),
        (UNUSUAL, SERVER_LANE),
        (Reply(code=421, status="4.7.0", text="[TSS04] Messages temporarily deferred"), LANE),
        (Reply(code=421, status="4.7.0", text="Too many connections"), LANE),
        (Reply(code=554, status="5.7.1", text="Relay access denied"), ACCOUNT),
        (
            Reply(code=421, status="4.7.28", text="an unusual rate of unsolicited mail from your DKIM domain"),
            DOMAIN_LANE,
        ),
        (Reply(code=550, status="5.7.1", text="[BL21] Connection refused, your address is listed"), SERVER_LANE),
        (Reply(code=550, status="5.7.25", text="The sending IP address does not have a PTR record"), SERVER_LANE),
        (Reply(code=550, status="5.7.750", text="Service unavailable. Client blocked from sending"), None),
        (Reply(code=451, status="4.7.1", text="Greylisted, try again in 5 minutes"), None),
        (Reply(code=450, status="4.7.1", text="Service unavailable"), None),
        (Reply(code=550, status="5.1.1", text="No such user"), None),
        (Reply(code=452, status="4.2.2", text="Mailbox full"), None),
        (Reply(code=535, status="5.7.8", text="Authentication failed"), None),
        (Reply(code=550, status="5.7.1", text="Message looks like spam"), None),
        (Reply(code=451, status="4.3.0", text="Temporary lookup failure"), None),
    ],
)
def test_a_hold_is_as_wide_as_what_was_said(reply: Reply, held: Reach | None) -> None:
    assert reach(reply, blame(reply)) is held


@given(BLAMES, REPLIES)
def test_neither_an_address_nor_a_login_holds_anybody(what: Blame, reply: Reply) -> None:
    assert reach(reply, replace(what, scope=Scope.RECIPIENT)) is None
    assert reach(reply, replace(what, cause=Cause.CREDENTIALS)) is None


@given(BLAMES, st.none() | st.timedeltas(timedelta(seconds=1), timedelta(days=3)), st.integers())
def test_no_hold_is_shorter_than_the_server_asked_nor_than_twice_the_last(
    what: Blame, before: timedelta | None, seed: int
) -> None:
    wait = pause(what, before=before, rng=random.Random(seed))
    assert wait >= (what.wait or FIRST)
    assert before is None or wait >= min(LONGEST, 2 * before)
    assert wait <= max(what.wait or BLOCKED, LONGEST, BLOCKED) * (1 + STRETCH)


@given(st.integers())
def test_a_rate_said_again_and_again_reaches_six_hours_and_stays_there(seed: int) -> None:
    rng, waits = random.Random(seed), list[timedelta]()
    for _ in range(8):
        waits.append(pause(found(Cause.RATE, Scope.LANE), before=waits[-1] if waits else None, rng=rng))
    assert timedelta(minutes=15) <= waits[0] < timedelta(minutes=20)
    assert all(later >= min(LONGEST, 2 * earlier) for earlier, later in pairwise(waits))
    assert waits[5] >= timedelta(hours=6)
    assert waits[-1] <= LONGEST * (1 + STRETCH)


def test_lanes_held_together_do_not_come_back_together() -> None:
    waits = {pause(found(Cause.RATE, Scope.LANE), before=None, rng=random.Random(seed)) for seed in range(50)}
    assert len(waits) == 50


def test_a_blocked_account_rests_for_a_day() -> None:
    blocked = found(Cause.REPUTATION, Scope.MAILBOX)
    assert pause(blocked, before=None, rng=random.Random(1)) >= BLOCKED


def test_one_connection_is_for_servers_that_said_too_much() -> None:
    assert wants_one_connection(UNUSUAL, blame(UNUSUAL))
    for reply in (Reply(code=451, status="4.7.1", text="Greylisted"), Reply(code=550, status="5.4.5", text="limit")):
        assert not wants_one_connection(reply, blame(reply))
