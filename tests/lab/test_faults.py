"""Every fault a provider can have, as real servers have it: how it was read, and what the daemon did about it.

One daemon runs, at a rehearsal's clock, among mailboxes that each meet a fault of their own. For every fault the reply
comes from Postfix, Dovecot or the policy service (or, where none came, from our own door); its cause and scope are what
`warmup explain` says of it; what the daemon did is read from its exports and held against the servers' own logs. The
table is printed at the end, by `tests/conftest.py`.
"""

import contextlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.lab.between import Between, Cut, standing_between
from tests.lab.dovecot import imap
from tests.lab.fault_stage import (
    CROWDED,
    CROWDED_TOO,
    CUT_AFTER,
    CUT_IN,
    DOUBTED,
    ELSEWHERE,
    GOOD,
    GREY,
    HURRIED,
    LIMITED,
    LOCKED_OUT,
    RENUMBERED,
    SEEDS,
    SLOW,
    WORDY,
    Guest,
    Look,
    Stage,
)
from tests.lab.fault_table import FAULTS, Fault
from tests.lab.lab import Lab
from tests.lab.layout import LabFailed, until
from tests.lab.program import Program, Row

pytestmark = pytest.mark.lab

SPEED = 1000.0
LIMITS = {"gmail.test": 40, "outlook.test": 40, "corp.test": 40, "stranger.example": 40}
PATIENCE = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What came of a fault."""

    reply: str | None
    explained: Row
    did: str | None
    wrong: AssertionError | None = None


@pytest.fixture(scope="module")
def witnessed(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Witnessed]:
    program = Program(
        lab=lab,
        folder=tmp_path_factory.mktemp("faults") / "warmup",
        speed=SPEED,
        daily_limits=LIMITS,
        environ={"WARMUP__NETWORK__SMTP_TIMEOUT_SECONDS": "5", "WARMUP__OBSERVE__MISSING_AFTER_HOURS": "6"},
    )
    stage = None
    with standing_between(lab.layout) as between:
        try:
            stage = set_up(lab, program, between)
            program.start()
            found = watch(stage)
            assert program.stop() == 0
        finally:
            program.close()
            if stage is not None:
                stage.guest.leave()
            if stage is not None and stage.restarted_at is not None and not stage.is_back:
                lab.start_imap()
            lab.spam.relent()
            lab.provider.relax()
            lab.change_password(LOCKED_OUT, lab.user(LOCKED_OUT).password)
    return found


def set_up(lab: Lab, program: Program, between: Between) -> Stage:
    """Enrol everybody where all is well, then let everything go wrong."""
    program.install()
    relays = {SLOW: between.relay(lab.ports.submission)}
    relays |= {sender: between.relay(lab.ports.submission) for sender in DOUBTED.values()}
    cutters = {CUT_IN: between.cutter(Cut.IN_DATA), CUT_AFTER: between.cutter(Cut.AFTER_DOT)}
    ports = {
        HURRIED: lab.ports.hurried,
        CROWDED: lab.ports.crowded,
        CROWDED_TOO: lab.ports.crowded,
        WORDY: lab.ports.small,
    }
    ports |= {sender: relay.port for sender, relay in relays.items()}
    addresses = []
    for seed in SEEDS:
        program.enrol(seed, "--role", "seed", account="u29@outlook.test" if seed == ELSEWHERE else None)
        addresses.append(seed)
    for sender in (GOOD, LIMITED, LOCKED_OUT, HURRIED, CROWDED, CROWDED_TOO, WORDY, SLOW, *DOUBTED.values()):
        where = ("--smtp", f"127.0.0.1:{ports[sender]}") if sender in ports else ()
        program.enrol(sender, "--role", "sender", *where)
        addresses.append(sender)
    for sender, cutter in cutters.items():
        program.enrol(sender, "--role", "sender", "--smtp", f"127.0.0.1:{cutter.port}", "--smtp-security", "tls")
        addresses.append(sender)
    ids = {address: str(number) for number, address in enumerate(addresses, 1)}
    guest = Guest(lab.ports.crowded)
    stage = Stage(lab=lab, program=program, ids=ids, relays=relays, cutters=cutters, guest=guest)

    lab.change_password(LOCKED_OUT, "another one")
    lab.provider.limit({LIMITED: 1}, speed=SPEED)
    lab.provider.greylist(GREY, seconds=0.4)
    # What Gmail's users send to corp.test is junk there, in a German folder where the user is German.
    lab.spam.turn_against("gmail.test", at="corp.test")
    for kind, sender in DOUBTED.items():
        relays[sender].target = getattr(lab.ports, kind)
        done = program.ended("mailbox", "check", sender)
        stage.checks[kind] = done.returncode, done.stderr
    relays[SLOW].late = 60
    for cutter in cutters.values():
        cutter.armed = True
    return stage


def watch(stage: Stage) -> dict[str, Witnessed]:
    """Wait until every fault was met and answered, doing on the way what takes a running daemon."""
    replies: dict[str, str] = {}
    done: dict[str, str] = {}

    wrong: dict[str, AssertionError] = {}

    def all_seen() -> bool:
        look = stage.look()
        intervene(stage, look)
        for fault in FAULTS:
            try:
                if fault.name not in replies and (said := fault.reply(look)):
                    replies[fault.name] = said
                if fault.name not in done and (did := fault.did(look)):
                    done[fault.name] = did
            except AssertionError as otherwise:
                wrong[fault.name] = otherwise
        return len(replies) == len(FAULTS) == len(done.keys() | wrong.keys())

    # Each fault has a test of its own, which says what is missing.
    with contextlib.suppress(LabFailed):
        until(all_seen, seconds=PATIENCE, what="every fault is met and answered", every=1)
    return {
        fault.name: Witnessed(
            reply=replies.get(fault.name),
            explained=explained(stage.program, replies[fault.name]) if fault.cause and fault.name in replies else {},
            did=done.get(fault.name),
            wrong=wrong.get(fault.name),
        )
        for fault in FAULTS
    }


def intervene(stage: Stage, look: Look) -> None:
    """What takes a running daemon.

    Crowd a server until somebody was turned away, speed the slow one up once it was given up, make a folder anew, stop
    Dovecot until it is missed.
    """
    if any(look.shut(each, "421 4.7.0") for each in (CROWDED, CROWDED_TOO)):
        stage.guest.leave()
    else:
        stage.guest.come()
    if look.shut(SLOW, "silent|answer"):
        stage.relays[SLOW].late = 0
    seen = [row for row in look.sent(to=RENUMBERED) if row["placement"]]
    if seen and not stage.numbered:
        stage.numbered.append(uidvalidity(stage.lab, RENUMBERED))
        stage.lab.begin_anew(RENUMBERED)
        stage.numbered.append(uidvalidity(stage.lab, RENUMBERED))
    if len(stage.numbered) > 1 and stage.restarted_at is None:
        stage.restarted_at = max(fact.at for fact in look.facts)
        stage.lab.stop_imap()
    elif not stage.is_back and look.missed_by_who_goes_on:
        stage.lab.start_imap()
        stage.is_back = True


def uidvalidity(lab: Lab, address: str) -> str:
    with imap(lab.layout) as session:
        session.login(address, lab.user(address).password)
        session.select("INBOX", readonly=True)
        (number,) = session.response("UIDVALIDITY")[1]
        assert isinstance(number, bytes)
        return number.decode()


def explained(program: Program, reply: str) -> Row:
    """What `warmup explain` says of a reply."""
    found: Row = json.loads(program("explain", reply, "--json"))["recipients"][0]
    return found


def row(name: str, came: Witnessed) -> tuple[str, ...]:
    """Its line of the table: fault, reply, cause, scope, what the daemon did."""
    said = (str(came.explained.get(key, "-")) for key in ("cause", "scope"))
    return (name, _short(came.reply or "-"), *said, came.did or "-")


def _short(reply: str) -> str:
    text = re.sub(r"127\.0\.0\.1:\d+:? ?", "", reply)
    return text if len(text) <= 64 else text[:63] + "…"


@pytest.mark.parametrize("fault", FAULTS, ids=[fault.name for fault in FAULTS])
def test_a_fault_is_met_read_right_and_answered(
    witnessed: dict[str, Witnessed], fault: Fault, record_property: Callable[[str, object], None]
) -> None:
    came = witnessed[fault.name]
    record_property("fault", row(fault.name, came))
    assert came.reply is not None, "no server said it"
    if fault.cause:
        assert (came.explained["cause"], came.explained["scope"]) in ((fault.cause, fault.scope), fault.or_else), came
        assert came.explained["advice"]
    if came.wrong is not None:
        raise came.wrong
    assert came.did is not None, came


def test_each_fault_of_the_lab_is_there() -> None:
    assert len({fault.name for fault in FAULTS}) == 19
