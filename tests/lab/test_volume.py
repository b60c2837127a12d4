"""A receiver that minds volume: the ramp that listens beside the same ramp by the calendar, on real servers.

Rspamd's score follows what a sender sent in the last day against what its recipients' domain is used to from it. Two
mailboxes are warmed up by the program, two others send the published ramp whatever happens, to the same seeds on the
same days. What is compared is what Postfix accepted and where Dovecot has it.
"""

import smtplib
import ssl
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import make_msgid

import pytest

from tests.lab.lab import Lab
from tests.lab.postfix_log import Delivery
from tests.lab.program import Program
from tests.lab.rspamd import Tolerance

pytestmark = pytest.mark.lab

SPEED = 6000.0
DAY_SECONDS = 86_400 / SPEED
# FACTS.md: the published automatic ramp, ×1.4 a day, from the program's own first level.
BLIND = (5, 7, 9, 12, 16, 22)
DAYS = len(BLIND)
LISTENING = tuple(f"u{number}@corp.test" for number in range(20, 22))
CALENDAR = tuple(f"u{number}@outlook.test" for number in range(20, 22))
SEEDS = tuple(f"u{number}@gmail.test" for number in range(20, 28))
MINDS = Tolerance(day_seconds=DAY_SECONDS, quiet=4, ratio=1.25, memory_days=4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Landed:
    """What servers hold of one fleet's mail: messages accepted, and how many of them lie in Junk."""

    accepted: int
    spam: int

    @property
    def share(self) -> float:
        return self.spam / self.accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Both fleets over all days, and in the last two of them."""

    listening: Landed
    calendar: Landed
    listening_at_end: Landed
    calendar_at_end: Landed


@pytest.fixture(scope="module")
def run(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compared]:
    limits = {"corp.test": 200, "gmail.test": 200}
    program = Program(lab=lab, folder=tmp_path_factory.mktemp("volume") / "warmup", speed=SPEED, daily_limits=limits)
    program.install()
    for address in LISTENING:
        program.enrol(address, "--role", "sender", "--target", "40")
    for address in SEEDS:
        program.enrol(address, "--role", "seed")
    lab.volume.mind(MINDS, "corp.test", "outlook.test")
    try:
        program.start()
        before_the_end = 0
        for number, volume in enumerate(BLIND, start=1):
            program.wait_for_date(number, seconds=4 * DAY_SECONDS)
            if number == DAYS - 1:
                before_the_end = len(lab.settled())
            for sender in CALENDAR:
                send_by_calendar(lab, sender, volume)
        program.wait_for_date(DAYS + 1, seconds=4 * DAY_SECONDS)
        assert program.stop() == 0
        yield compared(lab, before_the_end)
    finally:
        program.close()
        lab.volume.mind(MINDS)


def send_by_calendar(lab: Lab, sender: str, volume: int) -> None:
    """The day's ceiling, whatever became of yesterday's mail."""
    trusting = ssl.create_default_context(cafile=str(lab.ca_file))
    with smtplib.SMTP("127.0.0.1", lab.ports.submission, timeout=30) as session:
        session.starttls(context=trusting)
        session.login(sender, lab.user(sender).password)
        for number in range(volume):
            message = EmailMessage()
            message["From"], message["To"] = sender, SEEDS[number % len(SEEDS)]
            message["Subject"], message["Message-ID"] = f"Note {number}", make_msgid(domain="outlook.test")
            message.set_content("A note among many.")
            assert session.send_message(message) == {}


def compared(lab: Lab, before_the_end: int) -> Compared:
    deliveries = lab.settled()
    junk = {mail.message_id for seed in SEEDS for mail in lab.mail(seed) if mail.folder == "Junk"}
    end = deliveries[before_the_end:]
    return Compared(
        listening=landed(deliveries, junk, LISTENING),
        calendar=landed(deliveries, junk, CALENDAR),
        listening_at_end=landed(end, junk, LISTENING),
        calendar_at_end=landed(end, junk, CALENDAR),
    )


def landed(deliveries: list[Delivery], junk: set[str], senders: tuple[str, ...]) -> Landed:
    mine = [found for found in deliveries if found.sender in senders and found.recipient in SEEDS]
    return Landed(accepted=len(mine), spam=sum(found.message_id in junk for found in mine))


def test_the_calendar_ends_in_spam(run: Compared) -> None:
    assert run.calendar.accepted == len(CALENDAR) * sum(BLIND)
    assert run.calendar_at_end.share > 0.4, run


def test_the_ramp_that_listens_ends_with_less_than_half_of_its_spam(run: Compared) -> None:
    assert run.listening_at_end.share < 0.5 * run.calendar_at_end.share, run
    assert run.listening.share < 0.5 * run.calendar.share, run


def test_and_not_by_keeping_silent(run: Compared) -> None:
    # A busy machine lets some of a day lapse.
    assert run.listening.accepted >= 2 * len(LISTENING) * DAYS, run


def test_rspamd_says_the_same(lab: Lab, run: Compared) -> None:
    mine = [verdict for verdict in lab.rspamd_verdicts().values() if verdict.sender in (*LISTENING, *CALENDAR)]
    spam = Counter(verdict.sender.rpartition("@")[2] for verdict in mine if verdict.spam)
    assert spam == {"outlook.test": run.calendar.spam, "corp.test": run.listening.spam}
