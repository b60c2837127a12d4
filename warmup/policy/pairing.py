"""To whom: recipients for each lane's messages, among the enrolled mailboxes that may be written to.

Never oneself nor another mailbox of one's own account; one's own domain only where a lane has nobody else left, and
never where `kin` is False. Whom this sender wrote to least, for what it is owed, comes first; among equals, who was
given least for what it sent is likelier. Owed is what a mailbox itself sends: who sends twice as much receives twice as
much, within `_LEAST` and `_MOST`. Who sleeps through most of the sender's window gets so much less, who sleeps through
all of it nothing. Nobody gets more than `SEED_DAILY` from one sender in a day.

Counts are those up to the day before: no unit of work reads what another decides for the same date, and since every
sender looks at its own sample of a large lane, they do not all find the same seed. A part goes to controls, whose
evidence weighs more because nothing there is ever answered (DESIGN, Words).
"""

import heapq
import math
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from sys import intern
from typing import Final

from warmup.policy.mailbox import AccountId, Mailbox, MailboxId, Role
from warmup.policy.waking import Awake, Waking

SEED_DAILY: Final = 5
"""The most messages that one sender writes to one seed in a day."""

CONTROL_SHARE: Final = 0.2

# So many seeds are compared for each message: enough to find the neglected ones, too few to agree with every other
# sender on the most neglected one of all. It also keeps the work of a large fleet near-linear.
_SAMPLE_PER_MESSAGE: Final = 4
_SMALLEST_SAMPLE: Final = 32

# However little or much a mailbox sends, it gets no less and no more than these times the usual.
_LEAST: Final = 1 / 3
_MOST: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Correspondent:
    """A mailbox as one that writes or is written to; `provider` is the one its mail lands at.

    `sends`: it is owed what it sends; who only receives is owed as much as is usual. `waking` None: not known.
    """

    id: MailboxId
    account_id: AccountId
    domain: str
    provider: str
    is_control: bool = False
    sends: bool = False
    waking: Waking | None = None

    @classmethod
    def of(cls, mailbox: Mailbox) -> "Correspondent":
        """What pairing knows of a mailbox."""
        return cls(
            id=mailbox.id,
            account_id=mailbox.account_id,
            # One text for each, not one for each mailbox: a large fleet's do not fit into a processor's cache.
            domain=intern(mailbox.domain),
            provider=mailbox.receiver,
            is_control=mailbox.role is Role.CONTROL,
            sends=mailbox.role.sends,
            waking=Waking.of(mailbox),
        )


@dataclass(frozen=True, slots=True)
class Lane:
    """The seeds of one provider, by id; `wakings` are the kinds of day their persons have."""

    treated: tuple[Correspondent, ...]
    controls: tuple[Correspondent, ...]
    wakings: frozenset[Waking | None] = frozenset()


Pool = Mapping[str, Lane]
"""All seeds by provider. Made once for a fleet, used for each of its senders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """Messages of recent days up to the day before.

    From this sender to each (`contacts`), from all to each (`inbound`), from each to all (`outbound`); `usual` is the
    mean of the last over those that send.
    """

    contacts: Mapping[MailboxId, int] = field(default_factory=dict)
    inbound: Mapping[MailboxId, int] = field(default_factory=dict)
    outbound: Mapping[MailboxId, int] = field(default_factory=dict)
    usual: float = 0.0

    def owed(self, seed: Correspondent) -> float:
        """What the seed is owed, as a multiple of the usual."""
        if not seed.sends:
            return 1.0
        owed = (1 + self.outbound.get(seed.id, 0)) / (1 + self.usual)
        # Not max() as well: this is asked of every seed that is compared.
        return _LEAST if owed < _LEAST else min(owed, _MOST)


@dataclass(frozen=True, slots=True)
class Pairing:
    """The recipients found, in no telling order, and how many messages of each lane have none."""

    recipients: tuple[Correspondent, ...]
    missing: Mapping[str, int]


def pool(seeds: Iterable[Correspondent]) -> Pool:
    """The seeds by provider; their order does not matter."""
    by_provider: dict[str, list[Correspondent]] = {}
    for seed in sorted(seeds, key=lambda seed: seed.id):
        by_provider.setdefault(seed.provider, []).append(seed)
    return {
        provider: Lane(
            treated=tuple(seed for seed in members if not seed.is_control),
            controls=tuple(seed for seed in members if seed.is_control),
            wakings=frozenset(seed.waking for seed in members),
        )
        for provider, members in sorted(by_provider.items())
    }


def capacity(sender: Correspondent, seeds: Pool, *, seed_daily: int = SEED_DAILY) -> dict[str, int]:
    """The most messages that each lane's seeds can take from `sender` in a day; lanes without any are left out."""
    others = {
        provider: sum(seed.account_id != sender.account_id for seed in (*lane.treated, *lane.controls))
        for provider, lane in seeds.items()
    }
    return {provider: seed_daily * n for provider, n in others.items() if n}


def pair(
    sender: Correspondent,
    wanted: Mapping[str, int],
    seeds: Pool,
    rng: random.Random,
    *,
    past: Past,
    taken: Mapping[MailboxId, int],
    awake: Awake | None = None,
    kin: bool = True,
    seed_daily: int = SEED_DAILY,
) -> Pairing:
    """Recipients for `wanted` messages by provider. `taken` are the day's messages to each that are settled already.

    `awake` knows who sleeps when the sender's window is open; None: nobody does.
    """
    found: list[Correspondent] = []
    missing: dict[str, int] = {}
    for provider, n in sorted(wanted.items()):
        lane = seeds.get(provider, Lane((), ()))
        shares = {who: awake.share(who) for who in lane.wakings} if awake is not None else {}
        uneven = shares if any(share < 1 for share in shares.values()) else None
        chosen = _Search(sender, past, uneven, Counter(taken), seed_daily, rng).among(lane, n, kin=kin)
        found += chosen
        if len(chosen) < n:
            missing[provider] = n - len(chosen)
    return Pairing(tuple(found), missing)


@dataclass(frozen=True, slots=True)
class _Search:
    """One lane's search; `today` grows with every choice. `shares` None: everybody is awake all the time."""

    sender: Correspondent
    past: Past
    shares: Mapping[Waking | None, float] | None
    today: Counter[MailboxId]
    seed_daily: int
    rng: random.Random

    def among(self, lane: Lane, n: int, *, kin: bool) -> list[Correspondent]:
        """Up to `n` recipients, strangers first and a share of them controls; either kind fills up for the other."""
        # Rounded by chance, so that small days have their share too.
        share = int(n * CONTROL_SHARE + self.rng.random()) if lane.controls else 0
        found = self._take(lane.controls, min(share, n), kin=False)
        found += self._take(lane.treated, n - len(found), kin=False)
        found += self._take(lane.controls, n - len(found), kin=False)
        if kin:
            found += self._take(lane.treated, n - len(found), kin=True)
            found += self._take(lane.controls, n - len(found), kin=True)
        return found

    def _take(self, members: Sequence[Correspondent], n: int, *, kin: bool) -> list[Correspondent]:
        """The `n` that were written to least, each again only after all others had their turn, up to the day's cap.

        Who is owed twice as much has two messages for its turn.
        """
        if n <= 0 or not members:
            return []
        queue = [self._preference(seed) for seed in self._sample(members, n, kin=kin)]
        heapq.heapify(queue)
        chosen: list[Correspondent] = []
        while queue and len(chosen) < n:
            _, contacts, chance, _, owed, seed = queue[0]
            chosen.append(seed)
            self.today[seed.id] = today = self.today[seed.id] + 1
            if today < self.seed_daily:
                heapq.heapreplace(queue, (_turn(today, owed), contacts, chance, seed.id, owed, seed))
            else:
                heapq.heappop(queue)
        return chosen

    def _preference(self, seed: Correspondent) -> tuple[int, float, float, MailboxId, float, Correspondent]:
        past = self.past
        owed = past.owed(seed) if self.shares is None else past.owed(seed) * self.shares[seed.waking]
        # A clock that rings the sooner the less the seed has to receive: a weighted draw without replacement.
        chance = -math.log(1 - self.rng.random()) * (1 + past.inbound.get(seed.id, 0)) / owed
        today = self.today.get(seed.id, 0)
        return _turn(today, owed), past.contacts.get(seed.id, 0) / owed, chance, seed.id, owed, seed

    def _sample(self, members: Sequence[Correspondent], n: int, *, kin: bool) -> Sequence[Correspondent]:
        """Enough of the members that fit and have room for `n` messages; all of them where they are few."""
        size = max(_SMALLEST_SAMPLE, _SAMPLE_PER_MESSAGE * n)
        if len(members) > 2 * size:
            some = self._fitting(self.rng.sample(members, size + size // 4), kin=kin)
            if len(some) >= size:
                return some[:size]
        every = self._fitting(members, kin=kin)
        return every if len(every) <= size else self.rng.sample(every, size)

    def _fitting(self, members: Sequence[Correspondent], *, kin: bool) -> list[Correspondent]:
        """Those of the sender's own domain or of any other, of another account, with room, and not asleep all along."""
        domain, account, today, most = self.sender.domain, self.sender.account_id, self.today, self.seed_daily
        fits = [
            seed
            for seed in members
            if (seed.domain == domain) is kin and seed.account_id != account and today.get(seed.id, 0) < most
        ]
        shares = self.shares
        return fits if shares is None else [seed for seed in fits if shares[seed.waking] > 0]


def _turn(today: int, owed: float) -> int:
    """In which turn a seed with so many messages today gets the next."""
    return int(today / owed) if owed > 1 else today
