"""The running world: a plain reading of MODEL.md, one message at a time.

Promise: the same world, seed and messages give the same verdicts, and one sender's dice do not depend on when other
senders' messages come. Days close by themselves when a later instant is named. Messages of one domain to one receiver
are to be given in order of time; nothing is asked of the order between domains.
"""

from collections.abc import Sequence
from datetime import datetime
from math import exp, log

from warmup.world.chance import Dice, dice, normal
from warmup.world.lane import DAY, Domain, Lane, Memory
from warmup.world.verdict import Deferred, Folder, Placed, Refused, Verdict
from warmup.world.world import Receiver, World

Instant = datetime | float
RESORT_MINUTES = 48 * 60.0
EXCESS_DEFERRED = 0.8  # probability, MODEL.md
DISTRUST_REFUSED = 0.5
BLOCKING_DEFERRAL = 3  # the third on one day blocks


class WorldState:
    """What the receivers of one world remember. `mailboxes` in order: an event's share hits the first ones."""

    def __init__(
        self, world: World, *, seed: int, mailboxes: Sequence[str] = (), start: datetime | None = None
    ) -> None:
        """`start`: the instant that is 00:00 of day 1, where instants are given as datetimes."""
        self.world = world
        self._seed = seed
        self._start = start
        self._receivers = {receiver.name: receiver for receiver in world.receivers}
        self._index = {mailbox: number for number, mailbox in enumerate(mailboxes)}
        self._domains: dict[tuple[str, str], Domain] = {}
        self._lanes: dict[tuple[str, str], Lane] = {}

    def deliver(
        self,
        sender: str,
        recipient: str,
        receiver: str,
        *,
        now: Instant,
        domain: str | None = None,
        content: float = 0.0,
        engages: bool = True,
        rescues: bool = False,
    ) -> Verdict:
        """What `receiver` does with one message from `sender` to its user `recipient`.

        `domain` None: what follows the @ of `sender`. `content`: see `content_of`. `engages` False: a control seed, or
        a recipient whose answers the caller tells with `answered`. `rescues`: spam is taken out of the junk folder at
        once (else tell it with `rescued`). Raises KeyError for an unknown receiver.
        """
        minutes = self._minutes(now)
        rules, lane = self._receivers[receiver], self._lane(sender, domain, receiver, minutes)
        lane.sequence += 1
        luck = dice(self._seed, receiver, sender, recipient, lane.sequence)
        excess = self._overs(rules, lane, minutes)
        refusal = self._at_the_door(rules, lane, minutes, luck, excess)
        if refusal is not None:
            return refusal
        known = recipient in lane.known
        spam = self._spam_probability(rules, lane, minutes, content, excess)
        lane.volume.accept(minutes)
        lane.domain.volume.accept(minutes)
        folder = _folder(rules, luck, known=known, spam=spam)
        engaged = folder is Folder.INBOX and engages and luck.engaged < rules.engagement
        complaint = folder is Folder.INBOX and luck.complaint < rules.complaint
        _remember(rules, lane, recipient, folder, engaged=engaged, complaint=complaint, rescued=rescues)
        resorted = folder is Folder.INBOX and luck.resort < rules.resort
        return Placed(
            folder=folder,
            visible_after=-rules.delay_minutes * log(luck.delay),
            resorted_after=luck.resort_when * RESORT_MINUTES if resorted else None,
            engaged=engaged,
            complaint=complaint,
            known=known,
            spam_probability=spam * (1 - rules.known_inbox if known else 1.0),
        )

    def answered(self, sender: str, recipient: str, receiver: str, *, now: Instant, domain: str | None = None) -> None:
        """`recipient` read and answered a message of `sender` in its inbox: trust, and no stranger any more."""
        self._welcome(sender, recipient, receiver, now, domain)

    def rescued(self, sender: str, recipient: str, receiver: str, *, now: Instant, domain: str | None = None) -> None:
        """`recipient` took a message of `sender` out of the junk folder."""
        self._welcome(sender, recipient, receiver, now, domain)

    def true_spam(
        self, sender: str, receiver: str, *, now: Instant, domain: str | None = None, content: float = 0.0
    ) -> float:
        """The probability that a stranger's next message would go to spam: the truth no controller sees."""
        minutes = self._minutes(now)
        rules, lane = self._receivers[receiver], self._lane(sender, domain, receiver, minutes)
        return self._spam_probability(rules, lane, minutes, content, self._overs(rules, lane, minutes))

    def content_of(self, grammar: str, receiver: str) -> float:
        """What the text of a grammar adds to z at `receiver`: drawn once per grammar from N(0, content_spread)."""
        return self._receivers[receiver].content_spread * normal(self._seed, "grammar", grammar)

    def end_of_day(self, *, now: Instant) -> None:
        """Close every day before the one `now` lies in. It happens by itself as well, lane by lane."""
        day = _day(self._minutes(now))
        for domain in self._domains.values():
            domain.volume.roll(day)
        for lane in self._lanes.values():
            lane.volume.roll(day)

    def day_of(self, now: Instant) -> int:
        """The world's day `now` lies in, from 1."""
        return _day(self._minutes(now))

    def _at_the_door(
        self, rules: Receiver, lane: Lane, minutes: float, luck: Dice, excess: tuple[float, float]
    ) -> Deferred | Refused | None:
        if minutes < lane.blocked_until:
            return Deferred(code=421, status="4.7.0", text="Blocked for excessive volume, try again later")
        if luck.defer < EXCESS_DEFERRED and max(excess) > log(rules.defer_at):
            if lane.defer(_day(minutes)) >= BLOCKING_DEFERRAL:
                lane.blocked_until = minutes + rules.block_days * DAY
            return Deferred(code=421, status="4.7.0", text="Unusual volume, try again later")
        if lane.pooled_trust(rules.domain_share) < rules.refuse_below and luck.refuse < DISTRUST_REFUSED:
            return Refused(code=550, status="5.7.1", text="Message refused for the reputation of its sender")
        if rules.greylist_minutes:
            lane.first_contact = minutes if lane.first_contact is None else lane.first_contact
            if minutes < lane.first_contact + rules.greylist_minutes:
                return Deferred(code=451, status="4.7.1", text="Greylisted, try again later")
        return None

    def _spam_probability(
        self, rules: Receiver, lane: Lane, minutes: float, content: float, excess: tuple[float, float]
    ) -> float:
        over, overd = excess
        shock, _ = self._mood(rules.name, lane, _day(minutes))
        z = (
            log(rules.base_spam / (1 - rules.base_spam))
            + rules.pressure * (over + rules.domain_share * overd)
            + 2 * rules.distrust * (0.5 - lane.pooled_trust(rules.domain_share))
            + content
            + shock
        )
        return 1 / (1 + exp(-z))

    def _overs(self, rules: Receiver, lane: Lane, minutes: float) -> tuple[float, float]:
        """over and overd of MODEL.md for one message more at `minutes`."""
        _, factor = self._mood(rules.name, lane, _day(minutes))
        tolerance = rules.tolerance * factor
        n, nd = lane.volume.count(minutes) + 1, lane.domain.volume.count(minutes) + 1
        return (
            max(0.0, log(n / (tolerance * max(lane.volume.k, rules.quiet_volume)))),
            max(0.0, log(nd / (tolerance * max(lane.domain.volume.k, rules.domain_quiet)))),
        )

    def _mood(self, receiver: str, lane: Lane, day: int) -> tuple[float, float]:
        """The shocks that hold today, added up, and the tolerance factors, multiplied."""
        shock, factor = 0.0, 1.0
        for event in self.world.events:
            if event.covers(day, receiver, index=lane.number, mailboxes=len(self._index)):
                shock, factor = shock + event.shock, factor * event.tolerance_factor
        return shock, factor

    def _welcome(self, sender: str, recipient: str, receiver: str, now: Instant, domain: str | None) -> None:
        lane = self._lane(sender, domain, receiver, self._minutes(now))
        lane.gain(self._receivers[receiver].trust_gain)
        lane.known.add(recipient)

    def _lane(self, sender: str, domain: str | None, receiver: str, minutes: float) -> Lane:
        lane = self._lanes.get((sender, receiver)) or self._newcomer(sender, domain, receiver)
        lane.volume.roll(_day(minutes))
        lane.domain.volume.roll(_day(minutes))
        return lane

    def _newcomer(self, sender: str, domain: str | None, receiver: str) -> Lane:
        rules = self._receivers[receiver]
        key = (domain or sender.rpartition("@")[2], receiver)
        if key not in self._domains:
            self._domains[key] = Domain(volume=Memory(k=rules.domain_volume, memory_days=rules.memory_days))
        house = self._domains[key]
        house.trust_sum += rules.trust
        house.lanes += 1
        lane = Lane(
            volume=Memory(k=0.0, memory_days=rules.memory_days),
            trust=rules.trust,
            domain=house,
            number=self._index.setdefault(sender, len(self._index)),
        )
        self._lanes[sender, receiver] = lane
        return lane

    def _minutes(self, now: Instant) -> float:
        if not isinstance(now, datetime):
            return now
        if self._start is None:
            raise ValueError("instants as datetimes need the world's start")
        return (now - self._start).total_seconds() / 60


def _day(minutes: float) -> int:
    return int(minutes // DAY) + 1


def _folder(rules: Receiver, luck: Dice, *, known: bool, spam: float) -> Folder:
    if luck.missing < rules.missing:
        return Folder.MISSING
    if known and luck.known < rules.known_inbox:
        return Folder.INBOX
    return Folder.SPAM if luck.spam < spam else Folder.INBOX


def _remember(
    rules: Receiver, lane: Lane, recipient: str, folder: Folder, *, engaged: bool, complaint: bool, rescued: bool
) -> None:
    """What the receiver learns from what became of a message."""
    if engaged:
        lane.gain(rules.trust_gain)
        lane.known.add(recipient)
    if complaint:
        lane.lose(rules.complaint_loss)
    if folder is Folder.SPAM:
        lane.lose(rules.trust_loss)
        if rescued:
            lane.gain(rules.trust_gain)
            lane.known.add(recipient)
